package server

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// FuzzReceive checks what the host relies on of every request that is let in.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET http://h:80?q HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:8\r\n\r\n",
		"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\n",
		"GET /a#b HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nConnection: x, Upgrade\r\nUpgrade: w\r\nX: 1\r\nTE: trailers\r\nContent-Length: 1\r\n\r\na",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n1\r\na\r\n0\r\nA: 1\r\n\r\n",
	} {
		f.Add(seed)
	}
	limits := manifest.ListenLimits{HeaderCount: 16, HeaderBytes: 1 << 10}
	f.Fuzz(func(t *testing.T, input string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(input)))
		if err != nil {
			return
		}
		r.ProtoMajor, r.ProtoMinor = 2, 0
		c := &call{r: r, conn: &conn{front: &front{settings: manifest.Listener{Limits: limits}}}}
		if status := c.receive(); status != 0 {
			if status < 400 || status > 599 {
				t.Errorf("refused with status %d", status)
			}
			return
		}
		if fault := fault(&c.x.Request); fault != "" {
			t.Errorf("%q was let in: %s", input, fault)
		}
	})
}

// fault says what is wrong with a request that was let in.
func fault(req *exchange.Request) string {
	switch {
	case !exchange.ValidName(req.Method) || req.Method == "CONNECT":
		return "method " + req.Method
	case !exchange.ValidTarget(req.Method, req.Target):
		return "target " + req.Target
	case !exchange.ValidAuthority(req.Authority) && (req.Authority != "" || req.Version != exchange.HTTP10):
		return "authority " + req.Authority
	case req.Upgrade != "" && req.Version != exchange.HTTP11:
		return "upgrade of " + req.Version.String()
	case req.Header.Len() > 16:
		return fmt.Sprint(req.Header.Len(), " fields")
	}
	for _, field := range req.Header.Fields() {
		switch strings.ToLower(field.Name) {
		case "host", "connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "trailer":
			return "field " + field.Name
		}
	}
	return ""
}
