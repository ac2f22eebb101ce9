package upstream

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// An endpoint may answer before it has all of the request. What sends the rest
// looks at no trailers any more once the exchange is over: they are the next one's.
func TestTrailersOfAnExchangeThatIsOver(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }
	onEveryWire(t, handler, func(t *testing.T, set *Set, _ string) {
		x := new(exchange.Exchange)
		for range 300 {
			body := &slowly{left: 3}
			r := &x.Request
			r.Method, r.Scheme, r.Authority, r.Target, r.Version = "POST", "http", "site.example", "/", exchange.HTTP11
			r.Body, r.Length = body, exchange.UnknownLength
			r.Trailer.Add("X-Sum", "1")
			if f := set.Forward(x, "up"); f == nil {
				read(t, x)
			}
			x.Reset()
		}
	})
}

// slowly is a body of some bytes that lets others go first.
type slowly struct{ left int }

func (s *slowly) Read(p []byte) (int, error) {
	for range 20 {
		runtime.Gosched()
	}
	if s.left--; s.left < 0 {
		return 0, io.EOF
	}
	return copy(p, "a"), nil
}

func (*slowly) Close() error { return nil }
