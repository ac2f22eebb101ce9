package exchange

import (
	"fmt"
	"slices"
	"testing"
)

// header makes one of names and values in turn.
func header(namesAndValues ...string) *Header {
	h := new(Header)
	for i := 0; i < len(namesAndValues); i += 2 {
		h.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return h
}

func TestHeaderKeepsOrderAndCase(t *testing.T) {
	h := header("b", "1", "A", "2", "B", "3")
	if got, want := fmt.Sprint(h.Fields()), "[{b 1} {A 2} {B 3}]"; got != want {
		t.Errorf("fields: got %s, want %s", got, want)
	}
	if got := h.Value("B"); got != "1" {
		t.Errorf("Value: got %q, want the first of that name", got)
	}
	if got, want := h.AppendValues(nil, "b"), []string{"1", "3"}; !slices.Equal(got, want) {
		t.Errorf("AppendValues: got %q, want %q", got, want)
	}
	if v, ok := h.Get("c"); v != "" || ok || h.Has("c") || !h.Has("a") {
		t.Error("look-up of absent and present names is wrong")
	}
	if got := h.Size(); got != 3*(1+1+32) {
		t.Errorf("Size: got %d", got)
	}
}

func TestHeaderChanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(h *Header)
		want   string
	}{
		{"set in place", func(h *Header) { h.Set("B", "x") }, "[{a 1} {b x} {c 3}]"},
		{"set new", func(h *Header) { h.Set("D", "x") }, "[{a 1} {b 2} {c 3} {B 4} {D x}]"},
		{"delete all", func(h *Header) { h.Del("B") }, "[{a 1} {c 3}]"},
		{"delete none", func(h *Header) { h.Del("bb") }, "[{a 1} {b 2} {c 3} {B 4}]"},
		{"reset", func(h *Header) { h.Reset() }, "[]"},
		{"copy", func(h *Header) { h.CopyFrom(header("x", "y")) }, "[{x y}]"},
	} {
		h := header("a", "1", "b", "2", "c", "3", "B", "4")
		test.change(h)
		if got := fmt.Sprint(h.Fields()); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestHeaderCopyIsIndependent(t *testing.T) {
	a, b := header("a", "1"), new(Header)
	b.CopyFrom(a)
	b.Set("a", "2")
	if a.Value("a") != "1" {
		t.Error("a change of the copy changed the original")
	}
}

// FuzzHeaderMatchesModel compares with the plainest implementation there is.
func FuzzHeaderMatchesModel(f *testing.F) {
	f.Add([]byte{0, 1, 5, 9, 2, 7})
	f.Fuzz(func(t *testing.T, operations []byte) {
		names := []string{"a", "A", "b", "B", "c"}
		h := new(Header)
		var model []Field
		same := func(name string) func(Field) bool {
			return func(f Field) bool { return EqualFold(f.Name, name) }
		}
		for i, op := range operations[:min(len(operations), 64)] {
			name, value := names[int(op/4)%len(names)], fmt.Sprint(i)
			at := slices.IndexFunc(model, same(name))
			switch op % 4 {
			case 0, 1:
				h.Add(name, value)
				model = append(model, Field{name, value})
			case 2:
				h.Del(name)
				model = slices.DeleteFunc(model, same(name))
			case 3:
				h.Set(name, value)
				if at < 0 {
					model = append(model, Field{name, value})
				} else {
					model[at].Value = value
					model = append(model[:at+1], slices.DeleteFunc(model[at+1:], same(name))...)
				}
			}
			if !slices.Equal(h.Fields(), model) {
				t.Fatalf("after %d operations: got %v, want %v", i+1, h.Fields(), model)
			}
		}
	})
}

func TestHeaderDoesNotAllocate(t *testing.T) {
	h, other := header("a", "1", "Content-Type", "2", "c", "3"), new(Header)
	h.Grow(8)
	other.Grow(16)
	values := make([]string, 0, 4)
	for name, use := range map[string]func(){
		"Get":          func() { h.Get("content-type") },
		"Has":          func() { h.Has("x") },
		"Set":          func() { h.Set("content-type", "3") },
		"Add and Del":  func() { h.Add("d", "4"); h.Del("D") },
		"AppendValues": func() { values = h.AppendValues(values[:0], "A") },
		"CopyFrom":     func() { other.CopyFrom(h) },
		"Reset":        func() { other.Reset() },
		"Size":         func() { h.Size() },
	} {
		if n := testing.AllocsPerRun(100, use); n != 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
}
