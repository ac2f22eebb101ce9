package policies

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/tier"
)

// mirroring is a host that sends copies to url, so many at once.
func mirroring(t *testing.T, url string, concurrent int, timeout string) *tier.Tier {
	t.Helper()
	text := fmt.Sprintf("[policy.mirror.http]\nhosts = [%q]\ninternal = [\"127.0.0.0/8\"]\nconcurrent = %d\ntimeout = %q\n", url, concurrent, timeout)
	return hostWith(t, "mirror", text, map[string]any{"to": url})
}

// TestCopiesArrive: what is copied arrives as it was, but for what tells who the
// client is, although the client's exchange is long over.
func TestCopiesArrive(t *testing.T) {
	release, seen := make(chan struct{}), make(chan string, 1)
	server := hosttest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		<-release
		seen <- fmt.Sprintf("%s %s %q %q %q %q", r.Method, r.RequestURI, body, r.Header["X-Mirrored"], r.Header["Cookie"], r.Header["Accept"])
	}))
	host := mirroring(t, server.URL, 8, "10s")
	body := strings.Repeat("b", 65535)
	r := cases.Request{Method: "PUT", Target: "/a%2fb?c=%64", Body: body, Header: map[string]cases.Values{
		"content-length": {"65535"}, "cookie": {"sid=1"}, "accept": {"text/html", "*/*"},
	}}
	if got := status(t, host, r); got != 200 {
		t.Fatalf("the exchange got %d", got)
	}
	close(release)
	want := fmt.Sprintf("PUT /a%%2fb?c=%%64 %q [\"1\"] [] [\"text/html\" \"*/*\"]", body)
	if got := <-seen; got != want {
		t.Errorf("got  %.200s\nwant %.200s", got, want)
	}
}

// TestMirrorsHarmNobody: whatever becomes of the copies, exchanges go on, and do not
// wait.
func TestMirrorsHarmNobody(t *testing.T) {
	const requests, concurrent = 200, 2
	arrived, release := make(chan struct{}, requests), make(chan struct{})
	slow := hosttest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer close(release)
	broken := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	endless := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	for name, url := range map[string]string{
		"slow": slow.URL, "dead": "http://127.0.0.1:1", "broken": broken.URL, "endless": endless.URL,
	} {
		t.Run(name, func(t *testing.T) {
			host := mirroring(t, url, concurrent, "30s")
			began := time.Now()
			for range requests {
				r := cases.Request{Method: "POST", Header: map[string]cases.Values{"content-length": {"1"}}, Body: "b"}
				if got := status(t, host, r); got != 200 {
					t.Fatalf("an exchange got %d", got)
				}
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%d exchanges took %v", requests, took)
			}
			if name != "slow" {
				return
			}
			for range concurrent {
				<-arrived
			}
			if n := len(arrived); n != 0 {
				t.Errorf("%d copies more are under way than may be", n)
			}
		})
	}
}
