package tier

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func newKept(text string, max int) (*keptBody, *closing) {
	source := &closing{Reader: strings.NewReader(text)}
	return &keptBody{body: source, max: max}, source
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(iotest.OneByteReader(r))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestKeptBodyRewinds(t *testing.T) {
	k, source := newKept("0123456789", 100)
	for _, n := range []int{3, 7, 0, 10, 5} {
		if _, err := io.CopyN(io.Discard, k, int64(n)); err != nil {
			t.Fatal(err)
		}
		k.Close()
		if !k.rewind() {
			t.Fatalf("after %d bytes the rest is lost", n)
		}
	}
	if source.closed {
		t.Error("it was closed before it was settled")
	}
	io.CopyN(io.Discard, k, 2)
	if got := k.settle(k); got != k {
		t.Errorf("settled to a %T, with bytes still kept", got)
	}
	if got := readAll(t, k); got != "23456789" || len(k.kept) != 0 {
		t.Errorf("got %q with %d bytes kept, want the rest and none", got, len(k.kept))
	}
	k.Close()
	if !source.closed {
		t.Error("it is still open")
	}
}

func TestKeptBodyBound(t *testing.T) {
	k, _ := newKept("0123456789", 9)
	if got := readAll(t, k); got != "0123456789" {
		t.Errorf("got %q", got)
	}
	if k.rewind() {
		t.Error("more was kept than its bound")
	}
	if k.kept != nil {
		t.Errorf("%d bytes are kept for nothing", len(k.kept))
	}
}

func TestKeptBodySettles(t *testing.T) {
	k, source := newKept("0123456789", 100)
	if got := k.settle(k); got != source {
		t.Errorf("an untouched body settled to a %T", got)
	}
	k, source = newKept("0123456789", 100)
	k.Close()
	other := io.NopCloser(strings.NewReader("other"))
	if got := k.settle(other); got != other {
		t.Errorf("settled to a %T", got)
	}
	if !source.closed {
		t.Error("a body that was replaced and closed is still open")
	}
}

func TestBoundedBody(t *testing.T) {
	for _, c := range []struct {
		max  int64
		want string
		err  bool
	}{{9, "012345678", true}, {10, "0123456789", false}, {11, "0123456789", false}, {1, "0", true}} {
		source := &closing{Reader: strings.NewReader("0123456789")}
		for name, r := range map[string]io.Reader{"whole": &boundedBody{source, c.max},
			"bytes": iotest.OneByteReader(&boundedBody{&closing{Reader: strings.NewReader("0123456789")}, c.max})} {
			text, err := io.ReadAll(r)
			if string(text) != c.want || (err != nil) != c.err {
				t.Errorf("max %d, %s: got %q, %v; want %q, error %v", c.max, name, text, err, c.want, c.err)
			}
		}
	}
}
