package outbound

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestReadMessage(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     string
		err      error // io.EOF, or a *statusError with code
		code     int
	}{
		{name: "none", err: io.EOF},
		{name: "empty", in: "\x00\x00\x00\x00\x00"},
		{name: "whole", in: "\x00\x00\x00\x00\x02ab", want: "ab"},
		{name: "more follows", in: "\x00\x00\x00\x00\x01ab", want: "a"},
		{name: "prefix is short", in: "\x00\x00\x00", code: codeInternal},
		{name: "message is short", in: "\x00\x00\x00\x00\x02a", code: codeInternal},
		{name: "message is missing", in: "\x00\x00\x00\x00\x02", code: codeInternal},
		{name: "compressed", in: "\x01\x00\x00\x00\x01a", code: codeUnimplemented},
		{name: "too large", in: "\x00\x00\x00\x00\x0babcdefghijk", code: codeResourceExhausted},
		{name: "enormous", in: "\x00\xff\xff\xff\xff", code: codeResourceExhausted},
	} {
		got, err := readMessage(strings.NewReader(c.in), 10)
		var own *statusError
		switch {
		case c.code != 0:
			if !errors.As(err, &own) || own.status.Code != c.code {
				t.Errorf("%s: got %v, want status %d", c.name, err, c.code)
			}
		case err != c.err || string(got) != c.want:
			t.Errorf("%s: got %q, %v; want %q, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// FuzzReadMessage has what is read be what appendMessage would write.
func FuzzReadMessage(f *testing.F) {
	for _, s := range []string{"", "\x00\x00\x00\x00\x02ab", "\x01\x00\x00\x00\x01a", "\x00\xff\xff\xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 10
		r := bytes.NewReader(in)
		var out []byte
		for {
			message, err := readMessage(r, limit)
			if err != nil {
				break
			}
			if len(message) > limit {
				t.Fatalf("a message of %d bytes passes", len(message))
			}
			out = appendMessage(out, message)
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatalf("%q was read from %q", out, in)
		}
	})
}

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		status, message string
		want            Status
		broken          bool
	}{
		{status: "0", want: Status{0, ""}},
		{status: "7", message: "no%20way%21 %e2%82%ac", want: Status{7, "no way! €"}},
		{status: "7", message: "100%", want: Status{7, "100%"}},
		{status: "7", message: "%zz%4", want: Status{7, "%zz%4"}},
		{status: "99", want: Status{99, ""}},
		{status: "-1", broken: true},
		{status: "one", broken: true},
		{status: "", broken: true},
	} {
		h := fields("grpc-status", c.status, "grpc-message", c.message)
		got, err := statusOf(&h)
		if got != c.want || (err != nil) != c.broken {
			t.Errorf("%q %q: got %v, %v; want %v", c.status, c.message, got, err, c.want)
		}
	}
	if _, err := statusOf(new(exchange.Header)); err == nil {
		t.Error("a stream without a status has one")
	}
}

func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		status int
		kind   string
		extra  string
		code   int // -1: it is gRPC
	}{
		{200, "application/grpc", "", -1},
		{200, "application/grpc+proto", "", -1},
		{200, "application/grpc; charset=x", "", -1},
		{503, "text/plain", "14", -1},
		{200, "application/grpc-web", "", codeUnknown},
		{200, "text/html", "", codeUnknown},
		{200, "", "", codeUnknown},
		{400, "", "", codeInternal},
		{401, "", "", codeUnauthenticated},
		{403, "", "", codePermissionDenied},
		{404, "application/grpc", "", codeUnimplemented},
		{429, "", "", codeUnavailable},
		{503, "", "", codeUnavailable},
		{302, "", "", codeUnknown},
	} {
		a := &answer{status: c.status, header: fields("content-type", c.kind)}
		if c.extra != "" {
			a.header.Add("grpc-status", c.extra)
		}
		got := -1
		if s, refused := refusal(a); refused {
			got = s.Code
		}
		if got != c.code {
			t.Errorf("%d %q: got %d, want %d", c.status, c.kind, got, c.code)
		}
	}
}

func TestTimeoutText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1:                           "1n",
		99999999:                    "99999999n",
		100000000:                   "100000u",
		time.Second:                 "1000000u",
		time.Second + 1:             "1000001u",
		100 * time.Second:           "100000m",
		100000 * time.Second:        "100000S",
		1000000 * time.Hour:         "60000000M",
		time.Duration(1<<63-1) / 10: "15372287M",
	} {
		if got := timeoutText(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
