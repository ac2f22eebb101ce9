package httpwasm

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

func withBody(text string) *exchange.Exchange {
	x := newExchange()
	x.Request.Body, x.Request.Length = textBody(text), int64(len(text))
	x.Request.Header.Set("content-length", "0") // whatever it says, Length counts
	return x
}

// What a guest reads of a stream does not go on; what it leaves does.
func TestStreamedRequestBody(t *testing.T) {
	x := withBody("0123456789")
	c := carry(t, script{request: []step{do("read_body", requestBody, out(0), 4)}}, x)
	c.request(policy.Continue)
	if got, want := c.text(0), "0123"; got != want {
		t.Errorf("the guest reads %q, want %q", got, want)
	}
	if got, want := readAll(t, x.Request.Body), "456789"; got != want {
		t.Errorf("the upstream gets %q, want %q", got, want)
	}
	if x.Request.Length != 6 || x.Request.Header.Value("content-length") != "6" {
		t.Errorf("length %d, content-length %q, want 6", x.Request.Length, x.Request.Header.Value("content-length"))
	}
}

func TestStreamedRequestBodyToItsEnd(t *testing.T) {
	x := withBody(strings.Repeat("0123456789", 1000))
	c := carry(t, script{request: []step{do("read_all", requestBody, out(0), 512)}}, x)
	c.request(policy.Continue)
	if got := c.result(0); got != 10000 {
		t.Errorf("the guest reads %d bytes, want 10000", got)
	}
	if x.Request.Body != nil || x.Request.Length != 0 {
		t.Errorf("body %v of length %d goes on, want none", x.Request.Body, x.Request.Length)
	}
}

func TestRequestWithoutBody(t *testing.T) {
	for _, features := range []int{0, 1} {
		x := newExchange()
		c := carry(t, script{request: []step{do("enable_features", features), do("read_body", requestBody, out(1), 8)}}, x)
		c.request(policy.Continue)
		if got := c.result(1); got != 1<<32 {
			t.Errorf("features %d: got %x, want the end and no byte", features, got)
		}
		if x.Request.Body != nil {
			t.Errorf("features %d: a body appeared", features)
		}
	}
}

// The reference host loses part of a body that it buffers.
func TestBufferedRequestBodyGoesOnWhole(t *testing.T) {
	for _, size := range []int{0, 5, 1000, 5000, 40000, 60000, 300000} {
		text := strings.Repeat("x", size)
		x := withBody(text)
		x.Request.Body = io.NopCloser(iotest.HalfReader(strings.NewReader(text)))
		s := script{request: []step{do("enable_features", 1), do("grow", 10), do("read_all", requestBody, out(1), 1024)}}
		c := carry(t, s, x)
		c.request(policy.Continue)
		if got := c.result(2); got != uint64(size) {
			t.Errorf("the guest reads %d bytes of %d", got, size)
		}
		if got := readAll(t, x.Request.Body); got != text {
			t.Errorf("the upstream gets %d bytes of %d", len(got), size)
		}
	}
}

// The feature makes the body readable, it does not make the host read it.
func TestBufferedRequestBodyThatNobodyReads(t *testing.T) {
	x := newExchange()
	x.Request.Body, x.Request.Length = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)), 10
	carry(t, script{request: []step{do("enable_features", 1)}}, x).request(policy.Continue)
}

func TestBufferedRequestBodyIsThereWithTheResponse(t *testing.T) {
	x := withBody("0123456789")
	c := carry(t, script{
		request:  []step{do("enable_features", 1), do("read_body", requestBody, out(1), 4)},
		response: []step{do("read_body", requestBody, out(2), 100)},
	}, x)
	c.request(policy.Continue)
	readAll(t, x.Request.Body)
	answered(x, 200, "")
	c.response()
	if got, want := c.text(2), "456789"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRequestBodyOverItsBound(t *testing.T) {
	for _, length := range []int64{2 << 20, exchange.UnknownLength} {
		x := withBody(strings.Repeat("x", 2<<20))
		x.Request.Length = length
		p := load(t, script{request: []step{do("enable_features", 1), do("read_body", requestBody, out(1), 8)}})
		c := carryWith(t, p, script{}, x)
		_, err := p.OnRequestHead(c.session, x)
		if !errors.Is(err, exchange.ErrBodyTooLarge) {
			t.Errorf("length %d: %v, want %v", length, err, exchange.ErrBodyTooLarge)
		}
		var failed *policy.Error
		if errors.As(err, &failed) {
			t.Errorf("length %d: the policy is blamed: %v", length, err)
		}
	}
}

// A sender that breaks off is not the policy's failure.
func TestBrokenRequestBody(t *testing.T) {
	for _, features := range []int{0, 1} {
		x := newExchange()
		x.Request.Body, x.Request.Length = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)), 10
		p := load(t, script{request: []step{do("enable_features", features), do("read_body", requestBody, out(1), 8)}})
		c := carryWith(t, p, script{}, x)
		_, err := p.OnRequestHead(c.session, x)
		var broken *exchange.BodyError
		if !errors.As(err, &broken) || broken.Response || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("features %d: %v, want a broken request body", features, err)
		}
	}
}

func TestWrittenRequestBody(t *testing.T) {
	cases := []struct {
		what  string
		steps []step
		want  string
	}{
		{"one write", []step{do("write_body", requestBody, "new")}, "new"},
		{"further writes append", []step{do("write_body", requestBody, "new "), do("write_body", requestBody, "text")}, "new text"},
		{"a write of nothing empties", []step{do("write_body", requestBody, "")}, ""},
		{"after a part was read", []step{do("read_body", requestBody, out(0), 3), do("write_body", requestBody, "new")}, "new"},
		{"piece by piece", []step{do("echo", requestBody, out(0), 3, requestBody)}, "old text"},
		{"piece by piece from memory", []step{do("enable_features", 1), do("echo", requestBody, out(0), 3, requestBody)}, "old text"},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := withBody("old text")
			carry(t, script{request: tc.steps}, x).request(policy.Continue)
			got := ""
			if x.Request.Body != nil {
				got = readAll(t, x.Request.Body)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if x.Request.Length != int64(len(tc.want)) {
				t.Errorf("length %d, want %d", x.Request.Length, len(tc.want))
			}
			if x.Request.Body == nil && tc.want != "" {
				t.Error("no body")
			}
		})
	}
}

func TestWrittenBodyOverItsBound(t *testing.T) {
	spec := specOf(script{request: []step{do("write_body", requestBody, "0123456789")}})
	spec.Settings.Limits.RequestBody = 9
	p := loadSpec(t, openEngine(t), spec)
	x := withBody("x")
	c := carryWith(t, p, script{}, x)
	_, err := p.OnRequestHead(c.session, x)
	wantKind(t, err, policy.Trap)
	if !strings.Contains(err.Error(), "limits.request_body") {
		t.Errorf("%v does not name the limit", err)
	}
}

// What policy.toml says about bodies holds, whatever the guest tries.
func TestBodyNeeds(t *testing.T) {
	need := func(request, response manifest.BodyNeed, s script) policy.Spec {
		spec := specOf(s)
		spec.Artifact.File.Needs = manifest.PolicyNeeds{RequestBody: request, ResponseBody: response}
		return spec
	}
	none := manifest.BodyNeed{Mode: manifest.BodyNone}
	engine := openEngine(t)

	t.Run("none", func(t *testing.T) {
		s := script{request: []step{do("enable_features", 7), do("read_body", requestBody, out(1), 8)}}
		p := loadSpec(t, engine, need(none, none, s))
		if got, want := p.Needs(), (policy.Needs{RequestBody: none, ResponseBody: none}); got != want {
			t.Errorf("needs %+v, want %+v", got, want)
		}
		x := withBody("text")
		c := carryWith(t, p, s, x)
		_, err := p.OnRequestHead(c.session, x)
		wantKind(t, err, policy.Trap)
	})
	t.Run("none leaves the features out", func(t *testing.T) {
		s := script{request: []step{do("enable_features", 7)}}
		c := carryWith(t, loadSpec(t, engine, need(none, none, s)), s, withBody("text"))
		c.request(policy.Continue)
		if got := feature(c.result(0)); got != trailers {
			t.Errorf("features %b, want %b", got, trailers)
		}
	})
	t.Run("peek", func(t *testing.T) {
		peek := manifest.BodyNeed{Mode: manifest.BodyPeek, Max: 4}
		s := script{request: []step{do("read_body", requestBody, out(0), 100)}}
		x := withBody("0123456789")
		c := carryWith(t, loadSpec(t, engine, need(peek, none, s)), s, x)
		c.request(policy.Continue)
		if got, want := c.text(0), "0123"; got != want {
			t.Errorf("the guest reads %q, want %q", got, want)
		}
		if got, want := readAll(t, x.Request.Body), "0123456789"; got != want {
			t.Errorf("the upstream gets %q, want %q", got, want)
		}
	})
	t.Run("buffer", func(t *testing.T) {
		buffer := manifest.BodyNeed{Mode: manifest.BodyBuffer, Max: 8}
		s := script{request: []step{do("read_all", requestBody, out(0), 3)}}
		p := loadSpec(t, engine, need(buffer, none, s))
		x := withBody("01234567")
		carryWith(t, p, s, x).request(policy.Continue)
		if got, want := readAll(t, x.Request.Body), "01234567"; got != want {
			t.Errorf("the upstream gets %q, want %q", got, want)
		}
		x = withBody("012345678")
		c := carryWith(t, p, s, x)
		if _, err := p.OnRequestHead(c.session, x); !errors.Is(err, exchange.ErrBodyTooLarge) {
			t.Errorf("%v, want %v", err, exchange.ErrBodyTooLarge)
		}
	})
	t.Run("more than the manifest allows", func(t *testing.T) {
		_, err := NewLoader(engine).Load(t.Context(), need(manifest.BodyNeed{Mode: manifest.BodyBuffer, Max: 2 << 20}, none, script{}))
		wantKind(t, err, policy.Load)
		if !strings.Contains(err.Error(), "limits.request_body") {
			t.Errorf("%v does not name the limit", err)
		}
	})
	t.Run("not said", func(t *testing.T) {
		stream := manifest.BodyNeed{Mode: manifest.BodyStream}
		p := loadSpec(t, engine, specOf(script{}))
		if got, want := p.Needs(), (policy.Needs{RequestBody: stream, ResponseBody: stream}); got != want {
			t.Errorf("needs %+v, want %+v: the module imports read_body", got, want)
		}
	})
}
