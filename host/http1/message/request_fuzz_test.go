package message

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func seedRequests(f *testing.F) {
	for _, input := range []string{wrkRequest, browserRequest} {
		f.Add([]byte(input), uint16(7))
	}
	for _, test := range accepted {
		f.Add([]byte(test.input+"hello"), uint16(20))
	}
	for _, test := range refused {
		f.Add([]byte(test.input), uint16(30))
	}
	for _, test := range bodies {
		f.Add([]byte(chunkedPost+test.input), uint16(100))
	}
	for _, test := range badBodies {
		f.Add([]byte(chunkedPost+test.input), uint16(100))
	}
}

const chunkedPost = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

var fuzzLimits = Limits{HeaderBytes: 4 << 10, HeaderCount: 32}

// FuzzRequest checks that pieces make no difference, that what is let in is
// sound, and that it says the same once written again.
func FuzzRequest(f *testing.F) {
	seedRequests(f)
	f.Fuzz(func(t *testing.T, input []byte, cut uint16) {
		want, wantSize, wantErr := parseRequest(string(input), fuzzLimits)
		var p RequestParser
		r := RequestHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
		steps := []int{min(int(cut), len(input)), min(int(cut)+1, len(input))}
		size, err := inPieces(string(input), steps, func(buf []byte) (int, error) { return p.Parse(buf, &fuzzLimits, &r) })
		if size != wantSize || err != wantErr {
			t.Fatalf("in pieces: got %d, %v, want %d, %v", size, err, wantSize, wantErr)
		}
		if size == 0 || err != nil {
			return
		}
		if got := describeRequest(&r); got != want {
			t.Fatalf("in pieces: got %s, want %s", got, want)
		}
		if size > fuzzLimits.HeaderBytes || r.Header.Len() > fuzzLimits.HeaderCount {
			t.Errorf("%d bytes and %d fields were let in", size, r.Header.Len())
		}
		checkSoundRequest(t, &r)
		checkWrittenRequest(t, &r)
	})
}

// checkSoundRequest looks for what must not be let in.
func checkSoundRequest(t *testing.T, r *RequestHead) {
	if !exchange.ValidName(r.Method) || r.Method == "CONNECT" || !exchange.ValidTarget(r.Method, r.Target) {
		t.Errorf("request line %q %q", r.Method, r.Target)
	}
	if !exchange.ValidAuthority(r.Authority) && (r.Authority != "" || r.Version != exchange.HTTP10) {
		t.Errorf("authority %q", r.Authority)
	}
	if r.Framing.UntilClose || r.Framing.Chunked != (r.Framing.Length == exchange.UnknownLength) {
		t.Errorf("framing %+v", r.Framing)
	}
	checkSoundFields(t, r.Header)
}

func checkSoundFields(t *testing.T, h *exchange.Header) {
	for _, f := range h.Fields() {
		if !exchange.ValidName(f.Name) || !exchange.ValidValue(f.Value) {
			t.Errorf("field %q: %q", f.Name, f.Value)
		}
		switch strings.ToLower(f.Name) {
		case "host", "connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "trailer",
			"content_length", "transfer_encoding", "http2-settings":
			t.Errorf("field %q is left", f.Name)
		}
	}
}

// checkWrittenRequest writes a head that was read, and reads it again.
func checkWrittenRequest(t *testing.T, r *RequestHead) {
	if r.Authority == "" {
		r.Authority = "h"
	}
	written, err := AppendRequestHead(nil, r)
	if err != nil {
		t.Fatalf("%s: %v", describeRequest(r), err)
	}
	var p RequestParser
	again := RequestHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
	size, err := p.Parse(written, &Limits{}, &again)
	if size != len(written) || err != nil {
		t.Fatalf("%q: got %d of %d, %v", written, size, len(written), err)
	}
	// One hop further the version is ours, and the length may be left out or told anew.
	for _, head := range []*RequestHead{r, &again} {
		head.Scheme, head.Version = "", 0
		head.Header.Del("Content-Length")
	}
	if r.Continue != again.Continue && again.Continue { // meant nothing to HTTP/1.0
		t.Errorf("%q: continue", written)
	}
	r.Continue, again.Continue = false, false
	if got, want := describeRequest(&again), describeRequest(r); got != want {
		t.Errorf("written and read again:\n got %s\nwant %s", got, want)
	}
}

// FuzzRequestLikeNetHTTP looks for requests that net/http accepts as well, but
// reads as another one.
func FuzzRequestLikeNetHTTP(f *testing.F) {
	seedRequests(f)
	f.Fuzz(func(t *testing.T, input []byte, _ uint16) { readAsRequest(t, input) })
}

// readAsRequest reads a message with both parsers and compares what they make of it.
// It reports who let it in.
func readAsRequest(t *testing.T, input []byte) (ours, theirs bool) {
	t.Helper()
	var p RequestParser
	r := RequestHead{Header: &exchange.Header{}}
	size, err := p.Parse(input, &Limits{}, &r)
	ours = size > 0 && err == nil
	source := bytes.NewReader(input)
	reader := bufio.NewReader(source)
	other, err := http.ReadRequest(reader)
	if theirs = err == nil; !theirs || !ours {
		return ours, theirs
	}
	if r.Method != other.Method || r.Authority != other.Host || r.Close != other.Close || !sameTarget(&r, other) {
		t.Errorf("%q: got %s, net/http %s %s %q close=%v", input, describeRequest(&r), other.Method, other.RequestURI, other.Host, other.Close)
	}
	compareFields(t, r.Header, other.Header)
	body := readBody(r.Framing, input[size:])
	body.compare(t, size, readTheirs(other.Body, input, source, reader))
	return ours, theirs
}

func sameTarget(r *RequestHead, theirs *http.Request) bool {
	if r.Scheme == "" {
		return r.Target == theirs.RequestURI
	}
	return strings.HasSuffix(theirs.RequestURI, strings.TrimLeft(r.Target, "/*"))
}

// outcome is how a body was read: what it is, and how many bytes it took, if all
// of it was there.
type outcome struct {
	body  string
	taken int
	whole bool
	err   error
}

// readBody reads the body that rest begins with.
func readBody(f Framing, rest []byte) outcome {
	switch {
	case f.Chunked:
		body, _, after, err := decode(string(rest), max(1, len(rest)))
		return outcome{body, len(rest) - len(after), err == nil, err}
	case f.UntilClose:
		return outcome{string(rest), len(rest), true, nil}
	case f.Length <= 0:
		return outcome{"", 0, true, nil}
	case f.Length > int64(len(rest)):
		return outcome{string(rest), len(rest), false, io.ErrUnexpectedEOF}
	}
	return outcome{string(rest[:f.Length]), int(f.Length), true, nil}
}

// readTheirs reads a body of net/http's; taken counts the head as well.
func readTheirs(body io.ReadCloser, input []byte, source *bytes.Reader, reader *bufio.Reader) outcome {
	data, err := io.ReadAll(body)
	return outcome{string(data), len(input) - source.Len() - reader.Buffered(), err == nil, err}
}

// compare fails the test if both bodies were read whole and differ.
func (o outcome) compare(t *testing.T, head int, theirs outcome) {
	if o.whole && theirs.whole && (o.body != theirs.body || head+o.taken != theirs.taken) {
		t.Errorf("body: got %q, the next message at %d, net/http %q, %d", o.body, head+o.taken, theirs.body, theirs.taken)
	}
}

// compareFields fails the test if net/http has other values of a name that is
// kept.
func compareFields(t *testing.T, ours *exchange.Header, theirs http.Header) {
	for name, values := range theirs {
		if got := ours.AppendValues(nil, name); len(got) > 0 && name != "Te" && !slices.Equal(got, values) {
			if name == "Cache-Control" && ours.Has("Pragma") {
				continue // net/http adds one
			}
			t.Errorf("%s: got %q, net/http %q", name, got, values)
		}
	}
	for _, f := range ours.Fields() {
		if len(theirs.Values(f.Name)) == 0 && !strings.EqualFold(f.Name, "Content-Length") {
			t.Errorf("%s: got %q, net/http none", f.Name, f.Value)
		}
	}
}
