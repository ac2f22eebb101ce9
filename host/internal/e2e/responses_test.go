package e2e

import (
	"crypto/tls"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

//go:embed testdata/responses.txt
var responseCorpus string

// reply is a case of the corpus.
type reply struct {
	name     string
	method   string
	outcomes []replied
	bytes    string
	close    bool // the origin ends the connection behind it
}

// replied is what a client may get of a reply.
type replied struct {
	kind   string // "bad", "pass" or "keep"
	status int    // of pass and keep
	body   string
}

// parseReplies reads the corpus; its own head says how it is written.
func parseReplies(t testing.TB, text string) (replies []reply) {
	t.Helper()
	for i, line := range strings.Split(text, "\n") {
		var err error
		last := &reply{}
		if len(replies) > 0 {
			last = &replies[len(replies)-1]
		}
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "== "):
			replies = append(replies, reply{name: line[3:], method: "GET"})
		case strings.HasPrefix(line, "-> "):
			last.outcomes, err = parseReplied(line[3:])
		case line == "close":
			last.close = true
		case line[0] == '"':
			var more string
			more, err = parseLiterals(line)
			last.bytes += more
		default:
			last.method = line
		}
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
	}
	return replies
}

func parseReplied(text string) (all []replied, err error) {
	for alternative := range strings.SplitSeq(strings.TrimPrefix(text, "either "), " | ") {
		kind, rest, _ := strings.Cut(alternative, " ")
		r := replied{kind: kind}
		if kind != "bad" {
			status, quoted, _ := strings.Cut(rest, " ")
			if r.status, err = strconv.Atoi(status); err == nil {
				r.body, err = strconv.Unquote(quoted)
			}
			if err != nil {
				return nil, fmt.Errorf("outcome %q: %w", alternative, err)
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// liar is an origin that answers /reply-N with the corpus, and everything else
// with what was asked for.
type liar struct {
	addr    string
	config  *tls.Config // nil: without TLS
	replies []reply

	mu     sync.Mutex
	reused []string // what was asked for on connections that had a reply after which none may
	kept   int      // requests on connections that had a reply after which they may
}

func (l *liar) serve(c net.Conn) {
	if l.config != nil {
		secure := tls.Server(c, l.config)
		defer secure.Close()
		c = secure
	}
	conn, buf := recorded{}, make([]byte, 16<<10)
	last := "" // reply after which this connection must not be used
	kept := false
	for {
		n, err := c.Read(buf)
		before := len(conn.whole)
		conn.take(buf[:n])
		for _, request := range conn.whole[before:] {
			l.mu.Lock()
			if last != "" {
				l.reused, last = append(l.reused, request.target+" after "+last), ""
			}
			if kept {
				l.kept++
			}
			l.mu.Unlock()
			number, lie := strings.CutPrefix(request.target, "/reply-")
			if !lie {
				if _, err := io.WriteString(c, request.answer()); err != nil {
					return
				}
				continue
			}
			i, _ := strconv.Atoi(number)
			r := l.replies[i]
			if kept = slices.ContainsFunc(r.outcomes, func(o replied) bool { return o.kind == "keep" }); !kept {
				last = r.name
			}
			if _, err := io.WriteString(c, r.bytes); err != nil || r.close {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TestResponses has an origin answer with the whole corpus: the client gets what
// has one meaning, or sees that it failed, and nobody gets what hides in a
// response to somebody else.
func TestResponses(t *testing.T) {
	ca := hosttest.NewCA(t)
	trust := fmt.Sprintf("tls.ca = %q", ca.WriteCA(t, t.TempDir()))
	for _, l := range []*liar{{}, {config: &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(t, "127.0.0.1")}, NextProtos: []string{"http/1.1"}}}} {
		scheme, settings := "http", ""
		if l.config != nil {
			scheme, settings = "https", trust
		}
		l.replies = parseReplies(t, responseCorpus)
		l.addr = hosttest.Raw(t, l.serve)
		h := startBoth(t, scheme+"://"+l.addr, settings)
		other := h.client(t, h1)
		for i, r := range l.replies {
			t.Run(scheme+"/"+r.name, func(t *testing.T) {
				other.get(t, fmt.Sprintf("/before-%d", i)) // so that there is a connection to reuse
				testReply(t, h, r, i)
				next := fmt.Sprintf("/next-%d", i)
				if _, body := other.get(t, next); body != "GET "+next {
					t.Errorf("the next client got %q", body)
				}
			})
		}
		for _, what := range l.reused {
			t.Errorf("a connection was used again: %s", what)
		}
		if l.kept == 0 {
			t.Error("no connection was used again")
		}
	}
}

func testReply(t *testing.T, h *host, r reply, i int) {
	c := h.dial(t, h1)
	c.send(fmt.Sprintf("%s /reply-%d HTTP/1.1\r\nHost: a\r\n\r\n", r.method, i))
	status, body, err := 0, "", error(nil)
	for status < 200 && err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(c.r, &http.Request{Method: r.method}); err == nil {
			status = resp.StatusCode
			var text []byte
			text, err = io.ReadAll(resp.Body)
			body = string(text)
		}
	}
	for _, o := range r.outcomes {
		if o.kind == "bad" && (err != nil || status == 502) || o.kind != "bad" && err == nil && status == o.status && body == o.body {
			return
		}
	}
	t.Errorf("got status %d, %.200q, %v, want %+v", status, body, err, r.outcomes)
}

// TestUnaskedBytesOnIdleConnections has an origin say more once the connection
// waits for its next use: it is not used again.
func TestUnaskedBytesOnIdleConnections(t *testing.T) {
	const smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
	for name, more := range map[string]string{"a response": smuggled, "a byte": "\n", "a line end": "\r\n"} {
		t.Run(name, func(t *testing.T) {
			say, said := make(chan struct{}), make(chan struct{})
			addr := hosttest.Raw(t, func(c net.Conn) {
				conn, buf := recorded{}, make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					before := len(conn.whole)
					conn.take(buf[:n])
					for _, request := range conn.whole[before:] {
						if io.WriteString(c, request.answer()); request.target == "/first" {
							<-say
							io.WriteString(c, more)
							close(said)
						}
					}
					if err != nil {
						return
					}
				}
			})
			h := startBoth(t, "http://"+addr, "")
			c := h.client(t, h1)
			c.get(t, "/first")
			close(say)
			<-said
			for i := range 3 {
				next := fmt.Sprintf("/next-%d", i)
				if resp, body := c.get(t, next); resp.StatusCode != 200 || body != "GET "+next {
					t.Errorf("got status %d and %q", resp.StatusCode, body)
				}
			}
		})
	}
}
