// Origin stands for a site that is slow and not always there: it counts what it is asked, and says
// how long its pages may be kept.
//
//	origin ADDRESS
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// site counts the requests that get to it.
type site struct{ asked atomic.Int64 }

// ServeHTTP follows http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/exit" {
		os.Exit(0)
	}
	if r.URL.Path == "/asked" {
		fmt.Fprintln(w, s.asked.Load())
		return
	}
	n := s.asked.Add(1)
	time.Sleep(200 * time.Millisecond)
	h := w.Header()
	h.Set("Cache-Control", "max-age=60, stale-if-error=600")
	h.Set("Cache-Tag", "news, page:"+strings.TrimPrefix(r.URL.Path, "/"))
	h.Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s, as of answer %d\n%s", r.URL.Path, n, strings.Repeat("news and more news\n", 100))
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: origin ADDRESS")
	}
	log.Fatal(http.ListenAndServe(os.Args[1], new(site)))
}
