package cache

import (
	"io"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// epoch is when tests are.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return epoch }
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// head is one with all there can be.
func head(variant string, tags ...string) Head {
	return Head{
		Status: 200, Variant: variant, Tags: tags, Meta: []byte("meta of " + variant),
		Fields: []exchange.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "ETag", Value: `"` + variant + `"`}},
	}
}

func put(t testing.TB, sp *Space, key string, h Head, body string) {
	t.Helper()
	w, err := sp.Create(key, h, sp.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func bodyOf(t testing.TB, e *Entry) string {
	t.Helper()
	r, err := e.Open(0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// bodies are those under a key, newest first; softly purged ones with a mark.
func bodies(t testing.TB, sp *Space, key string) []string {
	t.Helper()
	set := sp.Lookup(key)
	defer set.Close()
	var all []string
	for i := range set.Len() {
		b := bodyOf(t, set.At(i))
		if set.At(i).Purged {
			b += " (purged)"
		}
		all = append(all, b)
	}
	return all
}
