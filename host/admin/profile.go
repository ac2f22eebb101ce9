package admin

import (
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

// How long a CPU profile is, in seconds, and may be.
const (
	profileSeconds    = 10
	maxProfileSeconds = 60
)

// profileRoutes are where go tool pprof looks for profiles. net/http/pprof has the
// same ones, but puts them on a mux of the whole process as soon as it is imported.
func (s *Server) profileRoutes() []route {
	routes := []route{{"GET", "/debug/pprof/profile", false, s.cpuProfile}}
	for _, name := range []string{"heap", "allocs", "goroutine"} {
		routes = append(routes, route{"GET", "/debug/pprof/" + name, false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_ = pprof.Lookup(name).WriteTo(w, 0) // the client went away
		}})
	}
	return routes
}

// cpuProfile samples the whole process for as many seconds as the query says, or
// until the client goes away. There is one at a time.
func (s *Server) cpuProfile(w http.ResponseWriter, r *http.Request) {
	seconds := profileSeconds
	if text := r.URL.Query().Get("seconds"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxProfileSeconds {
			fail(w, http.StatusBadRequest, "seconds is a whole number from 1 to "+strconv.Itoa(maxProfileSeconds))
			return
		}
		seconds = n
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		fail(w, http.StatusConflict, err.Error())
		return
	}
	defer pprof.StopCPUProfile()
	over := time.NewTimer(time.Duration(seconds) * time.Second)
	defer over.Stop()
	select {
	case <-over.C:
	case <-s.stopping:
	case <-r.Context().Done():
	}
}
