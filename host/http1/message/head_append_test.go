package message

import (
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func header(namesAndValues ...string) *exchange.Header {
	h := &exchange.Header{}
	for i := 0; i < len(namesAndValues); i += 2 {
		h.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return h
}

var (
	unknown = Framing{Length: exchange.UnknownLength}
	chunked = Framing{Length: exchange.UnknownLength, Chunked: true}
	closing = Framing{Length: exchange.UnknownLength, UntilClose: true}
)

func TestAppendRequestHead(t *testing.T) {
	framing := header("Host", "x", "content-length", "7", "TRANSFER-ENCODING", "chunked", "Connection", "close", "Keep-Alive", "1",
		"Proxy-Connection", "a", "Upgrade", "b", "Trailer", "c", "Content_Length", "8", "HTTP2-Settings", "d", "A", "1")
	for _, test := range []struct {
		name string
		head RequestHead
		want string
	}{
		{"plain", RequestHead{Method: "GET", Target: "/a?b", Authority: "h:80", Header: header("B", "2", "a", "1", "B", "")},
			"GET /a?b HTTP/1.1\r\nHost: h:80\r\nB: 2\r\na: 1\r\nB: \r\n\r\n"},
		{"fields that frame", RequestHead{Method: "GET", Target: "/", Authority: "h", Header: framing}, "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\n\r\n"},
		{"length", RequestHead{Method: "GET", Target: "/", Authority: "h", Header: framing, Framing: Framing{Length: 5}},
			"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nContent-Length: 5\r\n\r\n"},
		{"no content (RFC 9110, 8.6)", RequestHead{Method: "POST", Target: "/", Authority: "h", Header: header()},
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
		{"chunked", RequestHead{Method: "PUT", Target: "/", Authority: "h", Header: header(), Framing: chunked, Trailer: header("A", "", "Host", "", "b", "")},
			"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A, b\r\n\r\n"},
		{"no trailers to announce", RequestHead{Method: "PUT", Target: "/", Authority: "h", Header: header(), Framing: chunked, Trailer: header("Host", "")},
			"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"trailers wanted (RFC 9110, 10.1.4)", RequestHead{Method: "GET", Target: "/", Authority: "h", Header: header("TE", "trailers")},
			"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n"},
		{"upgrade (7.8)", RequestHead{Method: "GET", Target: "/", Authority: "h", Header: header(), Upgrade: "websocket", Close: true},
			"GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		got, err := AppendRequestHead([]byte("before "), &test.head)
		if want := "before " + test.want; err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, want)
		}
	}
}

func TestAppendResponseHead(t *testing.T) {
	for _, test := range []struct {
		name string
		head ResponseHead
		want string
	}{
		{"length", ResponseHead{Status: 200, Header: header("Server", "x", "Content-Length", "7"), Framing: Framing{Length: 1 << 40}},
			"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 1099511627776\r\n\r\n"},
		{"status without a reason", ResponseHead{Status: 299, Header: header()}, "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"},
		{"until the end", ResponseHead{Status: 200, Header: header(), Framing: closing}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"chunked", ResponseHead{Status: 200, Header: header(), Framing: chunked, Close: true}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
		{"no length told", ResponseHead{Status: 304, Header: header(), Framing: unknown}, "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{"204", ResponseHead{Status: 204, Header: header("Content-Length", "3"), Framing: Framing{Length: 3}}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"103", ResponseHead{Status: 103, Header: header("Link", "</a>"), Close: true, Version: exchange.HTTP10}, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
		{"101", ResponseHead{Status: 101, Header: header(), Upgrade: "websocket"}, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"to HTTP/1.0", ResponseHead{Status: 200, Header: header(), Version: exchange.HTTP10}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
		{"to HTTP/1.0, the last", ResponseHead{Status: 200, Header: header(), Version: exchange.HTTP10, Close: true}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
	} {
		got, err := AppendResponseHead([]byte("before "), &test.head)
		if want := "before " + test.want; err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, want)
		}
	}
}

// unwritable are names and values that would mean more than a field.
var unwritable = []struct{ name, value string }{
	{"", "1"}, {"A B", "1"}, {"A:", "1"}, {"A\r\nB", "1"}, {"A\x00", "1"}, {"\xc3\xa9", "1"},
	{"A", "1\r\nB: 2"}, {"A", "1\n"}, {"A", "\r"}, {"A", "\x00"}, {"A", "\x7f"}, {"Server", "a\nb"}, {"A", "abcdefghi\x01"},
}

func TestUnwritableHeads(t *testing.T) {
	request := RequestHead{Method: "GET", Target: "/", Authority: "h", Header: header()}
	for _, change := range []func(r *RequestHead){
		func(r *RequestHead) { r.Method = "" },
		func(r *RequestHead) { r.Method = "GET /" },
		func(r *RequestHead) { r.Method = "CONNECT" },
		func(r *RequestHead) { r.Target = "/ HTTP/1.1\r\n" },
		func(r *RequestHead) { r.Target = "a" },
		func(r *RequestHead) { r.Target = "*" },
		func(r *RequestHead) { r.Authority = "" },
		func(r *RequestHead) { r.Authority = "h\r\nA: 1" },
		func(r *RequestHead) { r.Upgrade = "a\r\nB: 1" },
		func(r *RequestHead) { r.Framing = closing },
	} {
		r := request
		change(&r)
		if got, err := AppendRequestHead([]byte("a"), &r); err != ErrUnwritable || string(got) != "a" {
			t.Errorf("request %+v: got %q, %v", r, got, err)
		}
	}
	for _, change := range []func(r *ResponseHead){
		func(r *ResponseHead) { r.Status = 99 },
		func(r *ResponseHead) { r.Status = 600 },
		func(r *ResponseHead) { r.Status, r.Upgrade = 101, "a\r\nB: 1" },
		func(r *ResponseHead) { r.Version, r.Framing = exchange.HTTP10, chunked },
	} {
		r := ResponseHead{Status: 200, Header: header()}
		change(&r)
		if got, err := AppendResponseHead([]byte("a"), &r); err != ErrUnwritable || string(got) != "a" {
			t.Errorf("response %+v: got %q, %v", r, got, err)
		}
	}
	for _, f := range unwritable {
		request.Header = header(f.name, f.value)
		if got, err := AppendRequestHead([]byte("a"), &request); err != ErrUnwritable || string(got) != "a" {
			t.Errorf("field %q: %q of a request: got %q, %v", f.name, f.value, got, err)
		}
		if got, err := AppendResponseHead([]byte("a"), &ResponseHead{Status: 200, Header: request.Header}); err != ErrUnwritable || string(got) != "a" {
			t.Errorf("field %q: %q of a response: got %q, %v", f.name, f.value, got, err)
		}
	}
}

func TestAppendChunks(t *testing.T) {
	var b []byte
	for _, size := range []int{1, 15, 16, 255, 1 << 20} {
		b = AppendChunkTail(append(AppendChunkHead(b, size), '.'))
	}
	b, err := AppendLastChunk(b, header("A", "1", "Content-Length", "5", "B C", "2", "b", ""))
	if want := "1\r\n.\r\nf\r\n.\r\n10\r\n.\r\nff\r\n.\r\n100000\r\n.\r\n0\r\nA: 1\r\nb: \r\n\r\n"; err != nil || string(b) != want {
		t.Errorf("got %q, %v, want %q", b, err, want)
	}
	if got, err := AppendLastChunk(nil, nil); err != nil || string(got) != "0\r\n\r\n" {
		t.Errorf("no trailer: got %q, %v", got, err)
	}
	if got, err := AppendLastChunk([]byte("a"), header("A", "1\r\nB: 2")); err != ErrUnwritable || string(got) != "a" {
		t.Errorf("trailer with a line break: got %q, %v", got, err)
	}
}
