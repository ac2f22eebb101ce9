package http1_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
)

// scripted is a client that sends some bytes, in pieces of a size, and reads.
type scripted struct {
	looped
	input []byte
	piece int
	out   bytes.Buffer
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.input[:min(s.piece, len(s.input))])
	s.input = s.input[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error) { return s.out.Write(p) }

// FuzzServer sends anything: each request that is let in is sound and gets one
// response, and what is refused is the last. How bytes come in pieces changes
// nothing.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET http://h:80?q HTTP/1.1\r\nHost: h:80\r\n\r\n",
		"HEAD / HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n1\r\na\r\n0\r\nA: 1\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		whole := converse(t, input, len(input)+1)
		for _, piece := range []int{1, 7} {
			if got := converse(t, input, piece); got != whole {
				t.Errorf("in pieces of %d:\n%s\nas a whole:\n%s", piece, got, whole)
			}
		}
	})
}

// converse serves a client and returns what was seen of its requests.
func converse(t *testing.T, input []byte, piece int) string {
	var seen strings.Builder
	var methods []string
	s := settings()
	s.Limits = message.Limits{HeaderBytes: 1 << 10, HeaderCount: 16}
	s.Handler = carrying(func(x *exchange.Exchange, w http1.Wire, refusal int) {
		req := &x.Request
		methods = append(methods, strings.Clone(req.Method))
		if refusal != 0 {
			fmt.Fprintf(&seen, "refused %d\n", refusal)
			x.Fail(&exchange.Failure{Cause: exchange.CauseClient, Status: refusal})
			w.Send(x)
			return
		}
		if !exchange.ValidName(req.Method) || !exchange.ValidTarget(req.Method, req.Target) ||
			!exchange.ValidAuthority(req.Authority) && (req.Authority != "" || req.Version != exchange.HTTP10) {
			t.Errorf("let in: %q %q %q", req.Method, req.Target, req.Authority)
		}
		var body []byte
		var err error
		if req.Body != nil {
			body, err = io.ReadAll(req.Body)
		}
		fmt.Fprintf(&seen, "%q %q %q %d %q %v %v %v\n", req.Method, req.Authority, req.Target, req.Length, req.Upgrade, req.Header.Fields(), len(body), err)
		answer(x, 200, "ok")
	})
	d := &served{Server: s}
	d.open.Add(1)
	c := &scripted{input: bytes.Clone(input), piece: piece}
	s.Serve(c, &exchange.Conn{}, &owner{t, d})
	r := bufio.NewReader(&c.out)
	for i, method := range methods {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err == nil && resp.StatusCode == 100 {
			resp, err = http.ReadResponse(r, &http.Request{Method: method})
		}
		if err != nil {
			t.Fatalf("response %d to %s: %v", i, method, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("response %d to %s: %v", i, method, err)
		}
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("%q behind the last response", rest)
	}
	return seen.String()
}

// carrying is a function as a Handler.
type carrying func(x *exchange.Exchange, w http1.Wire, refusal int)

func (f carrying) Carry(x *exchange.Exchange, w http1.Wire, refusal int) { f(x, w, refusal) }
