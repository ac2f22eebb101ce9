package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
)

// departures are the cases that are not met, all of them in the library, with the
// reason to live with that.
var departures = map[string]string{
	"h2c/http2/3.5/2":     "the port speaks HTTP/1.1 too: what is no preface is answered 400 in its words, and closed",
	"h2c/http2/8.1.2.2/1": badField,
	"h2c/http2/8.1.2.2/2": badField,
	"tls/http2/8.1.2.2/1": badField,
	"tls/http2/8.1.2.2/2": badField,
	"h2c/http2/6.5.3/1":   twice,
	"tls/http2/6.5.3/1":   twice,
}

const (
	badField = "a request with a field of another version is answered 400 instead of reset (RFC 9113, 8.1.1, allows both)"
	twice    = "a SETTINGS frame that says the same twice ends the connection: no client in use sends one, floods do"
)

// TestH2Spec runs every case of h2spec, strict ones included.
func TestH2Spec(t *testing.T) {
	handler := func(x *exchange.Exchange) {
		if x.Request.Body != nil {
			io.Copy(io.Discard, x.Request.Body)
		}
		answer(x, 200, strings.Repeat("x", 1000))
	}
	secure, _ := secured(t, hosttest.NewCA(t), []string{"127.0.0.1"})
	for name, listener := range map[string]manifest.Listener{"h2c": settings(), "tls": secure} {
		t.Run(name, func(t *testing.T) {
			host, port, err := net.SplitHostPort(start(t, handler, listener))
			if err != nil {
				t.Fatal(err)
			}
			c := &config.Config{Host: host, Path: "/", Timeout: 5 * time.Second, MaxHeaderLen: 4000, Strict: true, TLS: listener.TLS != nil, Insecure: true}
			if c.Port, err = strconv.Atoi(port); err != nil {
				t.Fatal(err)
			}
			for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
				conform(t, c, group)
			}
		})
	}
}

// conform runs all cases of a group and of those below it.
func conform(t *testing.T, c *config.Config, group *spec.TestGroup) {
	for i, test := range append(group.Tests, group.StrictTests...) {
		t.Run(fmt.Sprintf("%s/%d", group.ID(), i+1), func(t *testing.T) {
			t.Parallel()
			_, id, _ := strings.Cut(t.Name(), "/")
			departs := departures[id] != ""
			conn, err := spec.Dial(c)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var failed *spec.TestError
			switch err := test.Run(c, conn); {
			case departs && err == nil:
				t.Error("the case is met now: take it from the list")
			case departs:
			case errors.Is(err, spec.ErrSkipped):
				t.Skip(test.Desc)
			case errors.As(err, &failed):
				t.Errorf("%s: %s\nwant %s\ngot %s", test.Desc, test.Requirement, strings.Join(failed.Expected, " or "), failed.Actual)
			case err != nil:
				t.Errorf("%s: %s: %v", test.Desc, test.Requirement, err)
			}
		})
	}
	for _, below := range group.Groups {
		conform(t, c, below)
	}
}
