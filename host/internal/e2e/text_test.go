package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestTextStaysItsExchanges has many exchanges at once differ in every field, and
// some come again: HTTP/2 keeps fields for later ones, HTTP/1.1 uses the memory of
// earlier ones again, and neither may show in what arrives.
func TestTextStaysItsExchanges(t *testing.T) {
	ca := hosttest.NewCA(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		w.Header().Set("X-Seen", r.Header.Get("X-Value")+" "+r.Host)
		w.Header().Set("X-Again", r.Header.Get("X-Again"))
		w.Header().Set("X-"+r.Header.Get("X-Name"), "named")
		w.Header().Set(http.TrailerPrefix+"X-Trailed", r.Header.Get("X-Value"))
		http.NewResponseController(w).Flush() // else it has a length, behind which HTTP/1.1 has no trailers
		fmt.Fprint(w, r.Header.Get("X-Value"))
	})
	simple := hosttest.Serve(t, echo)
	secure := hosttest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(t, "127.0.0.1")}}, echo)
	for name, h := range map[string]*host{
		"HTTP/1.1": startBoth(t, simple.URL, ""),
		"HTTP/2":   startBoth(t, secure.URL, fmt.Sprintf("tls.ca = %q", ca.WriteCA(t, t.TempDir()))),
	} {
		for _, w := range wires {
			t.Run(w.name+" to "+name, func(t *testing.T) {
				c := h.client(t, w)
				var clients sync.WaitGroup
				for worker := range 8 {
					clients.Go(func() {
						for i := range 100 {
							if err := tellApart(t, c, worker, i); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				clients.Wait()
			})
		}
	}
}

// tellApart sends what no other exchange does, beside some that every seventh does.
func tellApart(t *testing.T, c *client, worker, i int) error {
	value := fmt.Sprintf("value-%d-%03d", worker, i)
	r := c.request(t, "GET", "/path/"+value, nil)
	r.Host = fmt.Sprintf("host%d.test", i%5)
	r.Header.Set("X-Value", value)
	r.Header.Set("X-Again", fmt.Sprintf("again-%d", i%7))
	r.Header.Set("X-Name", fmt.Sprintf("Name%d", i%3))
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := all(t, resp.Body)
	for name, want := range map[string]string{
		"X-Path": "/path/" + value, "X-Seen": value + " " + r.Host, "X-Again": r.Header.Get("X-Again"), "X-" + r.Header.Get("X-Name"): "named",
	} {
		if got := resp.Header.Get(name); got != want {
			return fmt.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if body != value || resp.Trailer.Get("X-Trailed") != value {
		return fmt.Errorf("got %q and the trailer %q, want %q", body, resp.Trailer.Get("X-Trailed"), value)
	}
	return nil
}
