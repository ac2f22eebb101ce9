package exchange

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// source is a body that tells whether it was closed.
type source struct {
	io.Reader
	closed bool
}

func (s *source) Close() error {
	s.closed = true
	return nil
}

func TestPeek(t *testing.T) {
	for _, test := range []struct {
		body  string
		max   int64
		head  string
		whole bool
	}{
		{"", 4, "", true},
		{"abc", 4, "abc", true},
		{"abcd", 4, "abcd", false}, // there may be more
		{"abcdefgh", 4, "abcd", false},
		{"abc", 0, "", false},
	} {
		src := &source{Reader: iotest.OneByteReader(strings.NewReader(test.body))}
		b, err := Peek(src, test.max)
		if err != nil {
			t.Fatalf("peek %q: %v", test.body, err)
		}
		if got := string(b.Bytes()); got != test.head || b.Whole() != test.whole {
			t.Errorf("%q up to %d: got %q, whole %v, want %q, %v", test.body, test.max, got, b.Whole(), test.head, test.whole)
		}
		if src.closed != test.whole {
			t.Errorf("%q: source closed %v, want %v", test.body, src.closed, test.whole)
		}
		if all, err := io.ReadAll(b); string(all) != test.body || err != nil {
			t.Errorf("read: got %q, %v, want %q", all, err, test.body)
		}
		if b.Rewind() != test.whole {
			t.Errorf("%q: rewind: got %v, want %v", test.body, !test.whole, test.whole)
		}
		if again, _ := io.ReadAll(b); test.whole && string(again) != test.body {
			t.Errorf("read again: got %q, want %q", again, test.body)
		}
		if b.Close(); !src.closed {
			t.Errorf("%q: Close left the source open", test.body)
		}
	}
}

func TestPeekPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	src := &source{Reader: io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken))}
	b, err := Peek(src, 10)
	if !errors.Is(err, broken) || string(b.Bytes()) != "ab" || b.Whole() {
		t.Errorf("got %q, whole %v, %v", b.Bytes(), b.Whole(), err)
	}
	if _, err := io.ReadAll(b); !errors.Is(err, broken) {
		t.Errorf("read: got %v, want the error again", err)
	}
}

func TestBuffer(t *testing.T) {
	for body, want := range map[string]error{"": nil, "abcd": nil, "abcde": ErrBodyTooLarge} {
		b, err := Buffer(&source{Reader: strings.NewReader(body)}, 4)
		if !errors.Is(err, want) {
			t.Errorf("%q up to 4: got %v, want %v", body, err, want)
		}
		if all, _ := io.ReadAll(b); string(all) != body {
			t.Errorf("%q: read %q", body, all)
		}
	}
	if b, err := Buffer(nil, 4); err != nil || !b.Whole() || len(b.Bytes()) != 0 {
		t.Error("a body that isn't there is not empty")
	}
}

func TestUnread(t *testing.T) {
	b := NewBuffered([]byte("abcdef"))
	two := make([]byte, 2)
	if n, err := b.Read(two); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := string(b.Unread()); got != "cdef" || !b.Ready() {
		t.Errorf("after two: got %q, ready %v", got, b.Ready())
	}
	b.Skip(3)
	if rest, err := io.ReadAll(b); string(rest) != "f" || err != nil || len(b.Unread()) != 0 || !b.Ready() {
		t.Errorf("after five: got %q, %v", rest, err)
	}
	if !b.Rewind() || string(b.Unread()) != "abcdef" {
		t.Errorf("from the start: got %q", b.Unread())
	}
	head, err := Peek(io.NopCloser(strings.NewReader("abcdef")), 2)
	if err != nil || string(head.Unread()) != "ab" {
		t.Fatalf("got %q, %v", head.Unread(), err)
	}
	head.Skip(2)
	if rest, err := io.ReadAll(head); head.Ready() || string(rest) != "cdef" || err != nil {
		t.Errorf("the rest is %q, %v; ready: %v", rest, err, head.Ready())
	}
}
