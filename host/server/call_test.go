package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestRoundTrip(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		body, err := io.ReadAll(x.Request.Body)
		if err != nil {
			t.Errorf("read body: %v", err)
		}
		x.Response.Header.Add("X-Seen", x.Request.Method+" "+x.Request.Scheme+" "+x.Request.Authority+" "+x.Request.Target)
		if err := answer(x, 201, strings.ToUpper(string(body))); err != nil {
			t.Errorf("send: %v", err)
		}
	}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Post("http://"+addr+"/a%2Fb?c=d&e", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(body), "HELLO"; got != want {
			t.Errorf("body: got %q, want %q", got, want)
		}
		if got, want := resp.StatusCode, 201; got != want {
			t.Errorf("status: got %d, want %d", got, want)
		}
		if got, want := resp.Header.Get("X-Seen"), "POST http "+addr+" /a%2Fb?c=d&e"; got != want {
			t.Errorf("request: got %q, want %q", got, want)
		}
	})
}
