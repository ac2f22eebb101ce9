package http1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// habits are what a handler may do with an exchange of that id.
var habits = []func(x *exchange.Exchange, id string){
	func(x *exchange.Exchange, id string) { // reads
		got := id
		if x.Request.Body != nil {
			b, err := io.ReadAll(x.Request.Body)
			if err != nil {
				return
			}
			got = string(b)
		}
		reply(x, got)
	},
	func(x *exchange.Exchange, id string) { // leaves the body to somebody slow
		if body := x.Request.Body; body != nil {
			go io.Copy(io.Discard, io.LimitReader(body, rand.Int64N(5000)))
		}
		reply(x, id)
	},
	func(x *exchange.Exchange, id string) { // is interrupted late
		defer x.ReadWithin()()
		if x.Request.Body != nil {
			io.ReadAll(x.Request.Body)
		}
		if rand.IntN(2) == 0 {
			defer x.Life().End(errors.New("enough"))
		}
		reply(x, id)
	},
	func(x *exchange.Exchange, id string) { // speaks in chunks
		x.Sink.Inform(103, &x.Request.Header)
		x.Response.Trailer.Add("X-End", id)
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Body = io.NopCloser(io.MultiReader(strings.NewReader(named(x)+" "), strings.NewReader(id)))
		x.Sink.Send(x)
	},
	func(x *exchange.Exchange, id string) { // speaks twice
		reply(x, id)
		reply(x, "again")
	},
	func(*exchange.Exchange, string) {}, // says nothing
	func(x *exchange.Exchange, id string) { // breaks off
		x.Response.Status, x.Response.Length = 200, int64(len(id))+100
		x.Response.Body = io.NopCloser(strings.NewReader(id))
		x.Sink.Send(x)
	},
	func(x *exchange.Exchange, id string) { // takes its time
		ctx, cancel := context.WithTimeout(x.Context(), time.Duration(rand.IntN(900))*time.Millisecond)
		defer cancel()
		<-ctx.Done()
		reply(x, id)
	},
	func(x *exchange.Exchange, id string) { // switches protocols
		if x.Request.Upgrade == "" {
			reply(x, id)
			return
		}
		near, far := net.Pipe()
		go func() {
			io.Copy(far, io.LimitReader(far, rand.Int64N(100)))
			far.Close()
		}()
		x.Response.Status, x.Response.Tunnel = 101, near
		x.Sink.Send(x)
	},
}

func named(x *exchange.Exchange) string {
	name, _ := x.Request.Header.Get("X-Id")
	return name
}

func reply(x *exchange.Exchange, text string) { answer(x, 200, named(x)+" "+text) }

// letter is a request and, if that is told by it, the body of its response.
type letter struct{ text, want string }

func newLetter(id string) letter {
	habit := rand.IntN(len(habits))
	l := letter{want: id + " " + id}
	padding := strings.Repeat("p", rand.IntN(1<<rand.IntN(15)))
	line := fmt.Sprintf("/%d HTTP/1.1\r\nHost: h\r\nX-Id: %s\r\nX-Pad: %s\r\n", habit, id, padding)
	if rand.IntN(2) == 0 {
		l.text = "GET " + line + "Connection: upgrade\r\nUpgrade: test\r\n\r\n"
		return l
	}
	body := strings.Repeat(id+".", 1+rand.IntN(1<<rand.IntN(13)))
	if habit == 0 {
		l.want = id + " " + body
	}
	if rand.IntN(2) == 0 {
		l.text = fmt.Sprintf("POST %sContent-Length: %d\r\n\r\n%s", line, len(body), body)
		return l
	}
	var b strings.Builder
	b.WriteString("POST " + line + "Transfer-Encoding: chunked\r\n\r\n")
	for rest := body; rest != ""; {
		n := 1 + rand.IntN(len(rest))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	l.text = b.String() + "0\r\nX-Trailer: " + id + "\r\n\r\n"
	return l
}

// TestHabits has handlers of all habits meet clients that pipeline, dawdle, cut and
// leave. A response that comes is the one to its request.
func TestHabits(t *testing.T) {
	handler := func(x *exchange.Exchange) {
		id := strings.Clone(named(x))
		habits[x.Request.Target[1]-'0'](x, id)
		if named(x) != id {
			t.Errorf("the text of %s became %q while it was carried", id, named(x))
		}
	}
	d, secured := serve(t, settings(), handler), overTLS(t, handler)
	var clients sync.WaitGroup
	for c := range 24 {
		clients.Go(func() {
			for n := range 8 {
				var conn net.Conn
				if c%4 == 0 {
					conn = secured()
				} else {
					conn = d.dial(t).Conn
				}
				callOn(t, conn, fmt.Sprintf("c%d-%d", c, n))
			}
		})
	}
	clients.Wait()
}

func callOn(t *testing.T, c net.Conn, name string) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(3 * time.Second))
	var letters []letter
	var text string
	for i := range 1 + rand.IntN(8) {
		letters = append(letters, newLetter(fmt.Sprintf("%s-%d", name, i)))
		text += letters[i].text
	}
	if rand.IntN(4) == 0 {
		text = text[:rand.IntN(len(text))]
	}
	go sendSome(c, text)
	r := bufio.NewReader(c)
	for _, l := range letters {
		resp, err := http.ReadResponse(r, nil)
		for err == nil && resp.StatusCode == 103 {
			resp, err = http.ReadResponse(r, nil)
		}
		if err != nil || resp.StatusCode == 101 {
			return
		}
		if body, err := io.ReadAll(resp.Body); err != nil {
			return
		} else if resp.StatusCode != 200 || string(body) != l.want {
			t.Errorf("%.200q: got %d, %.100q of %d bytes", l.text, resp.StatusCode, body, len(body))
			return
		}
	}
}

// sendSome sends text in pieces, and may leave then.
func sendSome(c net.Conn, text string) {
	for text != "" {
		n := min(len(text), 1+rand.IntN(1<<rand.IntN(17)))
		if _, err := io.WriteString(c, text[:n]); err != nil {
			return
		}
		text = text[n:]
	}
	switch tcp, ok := c.(*net.TCPConn); {
	case rand.IntN(4) == 0:
		c.(interface{ CloseWrite() error }).CloseWrite()
	case ok && rand.IntN(4) == 0:
		tcp.SetLinger(0)
		fallthrough
	case rand.IntN(4) == 0:
		c.Close()
	}
}
