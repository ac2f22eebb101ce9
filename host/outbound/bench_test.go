package outbound

import (
	"io"
	"net/http"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// BenchmarkDo is a call beside what net/http alone takes for it.
func BenchmarkDo(b *testing.B) {
	backend := hosttest.Serve(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "yes") }))
	c := open(b, nil, backend.URL)
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Do(b.Context(), &Request{Method: "GET", URL: backend.URL}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, _ := http.NewRequestWithContext(b.Context(), "GET", backend.URL, nil)
			resp, err := c.secure.RoundTrip(r)
			if err != nil {
				b.Fatal(err)
			}
			io.ReadAll(resp.Body)
			resp.Body.Close()
		}
	})
}
