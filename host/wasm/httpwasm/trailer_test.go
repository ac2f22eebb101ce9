package httpwasm

import (
	"io"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

// ending is a body whose trailers come with its end, as a connection has them.
type ending struct {
	io.Reader
	trailer *exchange.Header
	fields  []string
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		e.trailer.Reset()
		for i := 0; i < len(e.fields); i += 2 {
			e.trailer.Add(e.fields[i], e.fields[i+1])
		}
	}
	return n, err
}

func (e *ending) Close() error { return nil }

func TestRequestTrailers(t *testing.T) {
	edit := []step{
		do("set_header_value", requestTrailers, "x-sum", "2"),
		do("add_header_value", requestTrailers, "x-add", "1"),
		do("add_header_value", requestTrailers, "x-add", "2"),
		do("remove_header", requestTrailers, "x-gone"),
		do("set_header_value", requestTrailers, "content-length", "9"),
	}
	cases := []struct {
		what  string
		steps []step
		body  string
	}{
		{"before the body", append([]step{do("enable_features", 4)}, edit...), "text"},
		{"after the body was read from memory", append([]step{do("enable_features", 5), do("read_all", requestBody, out(0), 9)}, edit...), "text"},
		{"before and after", append([]step{do("enable_features", 5), edit[0], do("read_all", requestBody, out(0), 9)}, edit[1:]...), "text"},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			x.Request.Body = &ending{strings.NewReader("text"), &x.Request.Trailer, []string{"X-Sum", "1", "X-Gone", "1"}}
			x.Request.Length = 4
			carry(t, script{request: tc.steps}, x).request(policy.Continue)
			if got := readAll(t, x.Request.Body); got != tc.body {
				t.Errorf("body %q, want %q", got, tc.body)
			}
			if got, want := fieldsText(&x.Request.Trailer), "X-Sum:2 x-add:1 x-add:2"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if x.Request.Length != exchange.UnknownLength {
				t.Errorf("length %d: trailers need a body whose length is not told", x.Request.Length)
			}
		})
	}
}

func TestTrailersAreRead(t *testing.T) {
	s := script{
		request: []step{
			do("enable_features", 7),
			do("get_header_names", requestTrailers, out(1), room),
			do("read_all", requestBody, out(2), 9),
			do("get_header_values", requestTrailers, "x-sum", out(3), room),
			do("get_header_names", responseTrailers, out(4), room),
		},
		response: []step{
			do("get_header_names", responseTrailers, out(5), room),
			do("get_header_values", responseTrailers, "X-END", out(6), room),
		},
	}
	x := newExchange()
	x.Request.Body, x.Request.Length = &ending{strings.NewReader("text"), &x.Request.Trailer, []string{"X-Sum", "1"}}, 4
	c := carry(t, s, x)
	c.request(policy.Continue)
	answered(x, 200, "")
	x.Response.Body = &ending{strings.NewReader("text"), &x.Response.Trailer, []string{"X-End", "2"}}
	c.response()
	for n, want := range map[int]string{1: "", 3: "1\x00", 4: "", 5: "x-end\x00", 6: "2\x00"} {
		if got := c.text(n); got != want {
			t.Errorf("step %d: got %q, want %q", n, got, want)
		}
	}
}

func TestTrailersAreNotThereWithoutTheFeature(t *testing.T) {
	x := newExchange()
	x.Request.Trailer.Add("x-sum", "1")
	c := carry(t, script{request: []step{
		do("get_header_names", requestTrailers, out(0), room),
		do("get_header_values", requestTrailers, "x-sum", out(1), room),
	}}, x)
	c.request(policy.Continue)
	if c.result(0) != 0 || c.result(1) != 0 {
		t.Errorf("got %x and %x, want nothing", c.result(0), c.result(1))
	}
}

func TestResponseTrailers(t *testing.T) {
	edit := do("set_header_value", responseTrailers, "x-end", "2")
	cases := []struct {
		what   string
		script script
	}{
		{"set before the request went on", script{request: []step{do("enable_features", 4), edit}}},
		{"set with the response", script{request: []step{do("enable_features", 4)}, response: []step{edit}}},
		{"set on a response in memory", script{request: []step{do("enable_features", 6)}, response: []step{edit}}},
		{"enabled with the response", script{response: []step{do("enable_features", 4), edit}}},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			c := carry(t, tc.script, x)
			c.request(policy.Continue)
			answered(x, 200, "")
			x.Response.Body = &ending{strings.NewReader("text"), &x.Response.Trailer, []string{"X-End", "1"}}
			c.response()
			if got := readAll(t, x.Response.Body); got != "text" {
				t.Errorf("body %q, want \"text\"", got)
			}
			if got, want := fieldsText(&x.Response.Trailer), "X-End:2"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if x.Response.Length != exchange.UnknownLength {
				t.Errorf("length %d: trailers need a body whose length is not told", x.Response.Length)
			}
		})
	}
}

func TestTrailersOfAnAnswer(t *testing.T) {
	x := newExchange()
	carry(t, script{request: []step{
		do("enable_features", 4),
		do("write_body", responseBody, "text"),
		do("set_header_value", responseTrailers, "x-end", "1"),
		do("result", 0),
	}}, x).request(policy.Answer)
	if got, want := fieldsText(&x.Response.Trailer), "x-end:1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if x.Response.Length != exchange.UnknownLength {
		t.Errorf("length %d: trailers need a body whose length is not told", x.Response.Length)
	}
}
