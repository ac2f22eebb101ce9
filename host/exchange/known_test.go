package exchange

import (
	"slices"
	"strings"
	"testing"
)

func TestKnownNames(t *testing.T) {
	if knownCount > 64 {
		t.Fatalf("%d ids do not fit into a set", knownCount)
	}
	if !slices.IsSorted(knownNames[1:UnderscoredContentLength]) {
		t.Error("not in order")
	}
	for id := Unknown + 1; id < knownCount; id++ {
		name := id.Name()
		for _, spelled := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			if got := KnownName(spelled); got != id {
				t.Errorf("%q: got %d, want %d", spelled, got, id)
			}
		}
		if KnownName(name+"x") == id || KnownName(name[1:]) == id {
			t.Errorf("%q: found by another name", name)
		}
	}
	for _, name := range []string{"", "x", "content_type", "hosu", strings.Repeat("a", 100)} {
		if id := KnownName(name); id != Unknown {
			t.Errorf("%q is taken for %q", name, id.Name())
		}
	}
}

// A byte that is another letter, or only looks like the other case of one, makes
// it another name.
func TestKnownNamesByteByByte(t *testing.T) {
	for id := Unknown + 1; id < knownCount; id++ {
		name := []byte(id.Name())
		for i, c := range name {
			for other := range 256 {
				name[i] = byte(other)
				if got, want := KnownName(string(name)) == id, EqualFold(string(name), id.Name()); got != want {
					t.Errorf("%q is taken for %s: got %v, want %v", name, id.Name(), got, want)
				}
			}
			name[i] = c
		}
	}
}

func TestHeaderKeepsIDs(t *testing.T) {
	var h Header
	check := func() {
		t.Helper()
		for i, f := range h.Fields() {
			if h.KnownAt(i) != KnownName(f.Name) {
				t.Errorf("%s has the id of %q", f.Name, h.KnownAt(i).Name())
			}
			if v, ok := h.Get(strings.ToUpper(f.Name)); !ok || v == "" {
				t.Errorf("%s is not found", f.Name)
			}
		}
	}
	for _, name := range []string{"Host", "X-One", "Via", "Connection", "X-Two", "via", "TE"} {
		h.Add(name, "v")
	}
	check()
	h.Del("x-one")
	h.Set("via", "w")
	check()
	RemoveHopByHop(&h)
	check()
	if h.Len() != 3 || h.HasKnown(Connection) || !h.HasKnown(Via) {
		t.Errorf("got %v", h.Fields())
	}
	var other Header
	other.CopyFrom(&h)
	h.Reset()
	if h.Has("via") || h.Has("x-two") || !other.Has("x-two") {
		t.Error("reset or copy went wrong")
	}
}

func TestArena(t *testing.T) {
	var a Arena
	first := a.Concat("a", "", "bc")
	var all []string
	for range 1000 {
		all = append(all, a.String([]byte("0123456789")))
	}
	if first != "abc" || slices.ContainsFunc(all, func(s string) bool { return s != "0123456789" }) {
		t.Error("text was overwritten within the exchange")
	}
	a.Reset()
	if n := testing.AllocsPerRun(100, func() {
		a.Concat("x", "y")
		a.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
