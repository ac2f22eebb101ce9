package server_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestPanicIsAnswered(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { panic("a bug") }, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		for range 2 {
			resp, err := c.Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 500 || string(body) != "500 Internal Server Error\n" {
				t.Errorf("got %d %q, want a clean 500", resp.StatusCode, body)
			}
		}
	})
}

func TestPanicAfterTheResponseBreaksIt(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Body = io.NopCloser(atEnd(func() { panic("a bug") }))
		x.Sink.Send(x)
	}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Get("http://" + addr)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Error("the client took the response for complete")
		}
	})
}

func TestHandlerThatSendsNothing(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 500 {
			t.Errorf("status: got %d, want 500", resp.StatusCode)
		}
	})
}
