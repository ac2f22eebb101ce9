package admin

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"

	"github.com/ergoproxy/ergo/host/engine"
)

// openAPI describes the routes; a test holds one against the other.
//
//go:embed openapi.json
var openAPI []byte

// route is one operation of the API.
type route struct {
	method, path string
	public       bool // needs no token and tells no secrets
	handler      http.HandlerFunc
}

func (s *Server) routes() []route {
	routes := []route{
		{"GET", "/", true, dashboard()},
		{"GET", "/healthz", true, s.live},
		{"GET", "/readyz", true, s.readiness},
		{"GET", "/openapi.json", true, serveOpenAPI},
		{"GET", "/v1/status", false, s.status},
		{"GET", "/v1/history", false, s.history},
		{"GET", "/v1/manifest", false, s.manifest},
		{"GET", "/v1/cache", false, s.cacheStatus},
		{"POST", "/v1/cache/purge", false, s.purge},
		{"POST", "/v1/check", false, s.check},
		{"POST", "/v1/swap", false, s.swap},
		{"POST", "/v1/rollback", false, s.rollback},
	}
	if s.opts.Metrics != nil {
		routes = append(routes, route{"GET", "/metrics", false, s.opts.Metrics.ServeHTTP})
	}
	return append(routes, s.profileRoutes()...)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	allowed := make(map[string]string)
	for _, r := range s.routes() {
		pattern := r.path
		if pattern == "/" {
			pattern = "/{$}"
		}
		mux.Handle(r.method+" "+pattern, s.guard(r.public, r.handler))
		allowed[r.path] = r.method
	}
	for _, file := range []string{"/app.js", "/style.css"} {
		mux.Handle("GET "+file, s.guard(true, dashboard()))
	}
	mux.Handle("/", s.guard(true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method, known := allowed[r.URL.Path]; known {
			w.Header().Set("Allow", method)
			fail(w, http.StatusMethodNotAllowed, r.URL.Path+" takes "+method)
			return
		}
		fail(w, http.StatusNotFound, "there is no such path; /openapi.json lists all")
	})))
	return mux
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
}

// Health is what /healthz and /readyz answer.
type Health struct {
	Status  string `json:"status"` // "ok", "starting" or "draining"
	Version string `json:"version"`
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, Health{"ok", s.opts.Version})
}

func (s *Server) readiness(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.ready():
		answer(w, http.StatusOK, Health{"ok", s.opts.Version})
	case s.opts.Host.Ready():
		answer(w, http.StatusServiceUnavailable, Health{"draining", s.opts.Version})
	default:
		answer(w, http.StatusServiceUnavailable, Health{"starting", s.opts.Version})
	}
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.opts.Host.Status())
}

func (s *Server) history(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.opts.Host.History())
}

func (s *Server) manifest(w http.ResponseWriter, _ *http.Request) {
	m := s.opts.Host.Manifest()
	if m == nil {
		fail(w, http.StatusServiceUnavailable, "no generation runs yet")
		return
	}
	shown, err := redact(m)
	if err != nil {
		fail(w, http.StatusInternalServerError, "show manifest: "+err.Error())
		return
	}
	answer(w, http.StatusOK, shown)
}

// SwapRequest asks to swap to a manifest, or to check one. Both fields may be
// left out: then the manifest that the host was started with is read again. A
// body of type application/toml is a manifest by itself.
type SwapRequest struct {
	Path     string `json:"path,omitempty"`     // absolute, on the host's machine
	Manifest string `json:"manifest,omitempty"` // TOML; its relative paths start at Path's folder
}

// RollbackRequest asks for an earlier generation.
type RollbackRequest struct {
	Steps int `json:"steps,omitempty"` // how many back; default 1
}

func (s *Server) check(w http.ResponseWriter, r *http.Request) {
	if from, ok := s.source(w, r); ok {
		change, err := s.opts.Host.Check(r.Context(), from)
		finish(w, change, err)
	}
}

func (s *Server) swap(w http.ResponseWriter, r *http.Request) {
	if from, ok := s.source(w, r); ok {
		change, err := s.opts.Host.Swap(r.Context(), "swap", from)
		finish(w, change, err)
	}
}

func (s *Server) rollback(w http.ResponseWriter, r *http.Request) {
	req := RollbackRequest{Steps: 1}
	if !read(w, r, &req) {
		return
	}
	if req.Steps < 1 {
		fail(w, http.StatusBadRequest, "steps is how many generations to go back: 1 or more")
		return
	}
	change, err := s.opts.Host.Rollback(r.Context(), req.Steps)
	if errors.Is(err, engine.ErrNoGeneration) {
		refuse(w, http.StatusConflict, err)
		return
	}
	finish(w, change, err)
}

// source returns the manifest that a request to swap or check is about.
func (s *Server) source(w http.ResponseWriter, r *http.Request) (from engine.Source, ok bool) {
	if mediaType(r) == typeTOML {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			unreadable(w, err)
			return from, false
		}
		from.Data = text
		return from, true
	}
	var req SwapRequest
	if !read(w, r, &req) {
		return from, false
	}
	if req.Path != "" && !filepath.IsAbs(req.Path) {
		fail(w, http.StatusBadRequest, "path is not absolute")
		return from, false
	}
	from.Path = req.Path
	if req.Manifest != "" {
		from.Data = []byte(req.Manifest)
	}
	return from, true
}

// read decodes a JSON body strictly; an empty one leaves into as it is.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		unreadable(w, err)
		return false
	}
	return true
}

func unreadable(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		fail(w, http.StatusRequestEntityTooLarge, "the body is larger than a manifest can be")
		return
	}
	fail(w, http.StatusBadRequest, "read body: "+err.Error())
}

// finish answers with what a swap, check or rollback came to.
func finish(w http.ResponseWriter, change *engine.Change, err error) {
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	answer(w, http.StatusOK, change)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // the client went away
}
