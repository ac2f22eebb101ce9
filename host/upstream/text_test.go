package upstream

import (
	"fmt"
	"net/http"
	"testing"
	"unsafe"
)

// The text of an exchange is a view of memory that the next one gets: nothing of
// it may stay behind, such as in the table that HTTP/2 packs fields by.
func TestTextEndsWithItsExchange(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %s", r.Host, r.RequestURI, r.Header.Get("X-User"), r.Header.Get("Accept-Language"))
	}
	onEveryWire(t, handler, func(t *testing.T, set *Set, _ string) {
		var memory [4][32]byte
		view := func(i int, format string, n int) string {
			b := fmt.Appendf(memory[i][:0], format, n)
			return unsafe.String(&b[0], len(b))
		}
		for n := range 300 {
			x := ask("GET", view(0, "/of/%04d", n), "")
			x.Request.Authority = view(1, "site%04d.example", n)
			x.Request.Header.Add("X-User", view(2, "user%04d", n))
			x.Request.Header.Add("Accept-Language", view(3, "lang-%04d", n))
			if f := set.Forward(x, "up"); f != nil {
				t.Fatal(f)
			}
			want := fmt.Sprintf("site%04d.example /of/%04d user%04d lang-%04d", n, n, n, n)
			if got := read(t, x); got != want {
				t.Fatalf("the origin got %q, want %q", got, want)
			}
			x.Reset()
			for i := range memory {
				clear(memory[i][:])
			}
		}
	})
}
