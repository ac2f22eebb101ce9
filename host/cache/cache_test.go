package cache

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestStoreAndLookup(t *testing.T) {
	s := open(t, Options{})
	sp := s.Space("p")
	value := []byte("text/html")
	h := head("v", "t1", "t2")
	h.Fields[0].Value = string(value)
	w, err := sp.Create("k", h, sp.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "hello"); err != nil {
		t.Fatal(err)
	}
	if got := bodies(t, sp, "k"); got != nil {
		t.Errorf("before Commit: got %q, want none", got)
	}
	if err := w.Commit(exchange.Field{Name: "X-Sum", Value: "1"}); err != nil {
		t.Fatal(err)
	}
	set := sp.Lookup("k")
	defer set.Close()
	if set.Len() != 1 {
		t.Fatalf("got %d entries, want 1", set.Len())
	}
	e := set.At(0)
	if e.Status != 200 || e.Variant != "v" || string(e.Meta) != "meta of v" || e.Size != 5 || !e.Stored.Equal(epoch) || e.Purged {
		t.Errorf("got %+v", e)
	}
	if got := e.Header.Fields(); !slices.Equal(got, h.Fields) {
		t.Errorf("got fields %q, want %q", got, h.Fields)
	}
	if !slices.Equal(e.Tags, h.Tags) || !slices.Equal(e.Trailer, []exchange.Field{{Name: "X-Sum", Value: "1"}}) {
		t.Errorf("got tags %q, trailer %q", e.Tags, e.Trailer)
	}
	if got := bodyOf(t, e); got != "hello" {
		t.Errorf("got body %q", got)
	}
	if other := s.Space("q").Lookup("k"); other.Len() != 0 {
		t.Error("another policy's space has the entry")
	}
	if s.Space("p") != sp {
		t.Error("the space of a name is not one")
	}
}

func TestOpenPart(t *testing.T) {
	sp := open(t, Options{}).Space("p")
	put(t, sp, "k", head(""), "0123456789")
	testParts(t, sp)
}

func testParts(t *testing.T, sp *Space) {
	t.Helper()
	set := sp.Lookup("k")
	defer set.Close()
	for _, c := range []struct {
		offset, length int64
		want           string
	}{
		{0, -1, "0123456789"}, {3, 4, "3456"}, {8, 4, "89"}, {10, -1, ""}, {0, 0, ""}, {4, -5, "456789"},
	} {
		r, err := set.At(0).Open(c.offset, c.length)
		if err != nil {
			t.Errorf("%d, %d: %v", c.offset, c.length, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != c.want {
			t.Errorf("%d, %d: got %q, %v, want %q", c.offset, c.length, got, err, c.want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, offset := range []int64{-1, 11} {
		if _, err := set.At(0).Open(offset, 1); !errors.Is(err, ErrArgument) {
			t.Errorf("offset %d: got %v, want ErrArgument", offset, err)
		}
	}
}

func TestVariants(t *testing.T) {
	s := open(t, Options{})
	sp := s.Space("p")
	put(t, sp, "k", head("a"), "a1")
	put(t, sp, "k", head("b"), "b1")
	put(t, sp, "k", head("a"), "a2")
	if got, want := bodies(t, sp, "k"), []string{"a2", "b1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range MaxVariants + 3 {
		put(t, sp, "k", head(fmt.Sprint(i)), fmt.Sprint(i))
	}
	got := bodies(t, sp, "k")
	if len(got) != MaxVariants || got[0] != fmt.Sprint(MaxVariants+2) || got[MaxVariants-1] != "3" {
		t.Errorf("got %d from %q to %q", len(got), got[0], got[len(got)-1])
	}
	if got := s.Stats().Memory.Entries; got != MaxVariants {
		t.Errorf("counted %d entries, want %d", got, MaxVariants)
	}
}

func TestUpdate(t *testing.T) {
	s := open(t, Options{})
	sp := s.Space("p")
	put(t, sp, "k", head("v"), "body")
	put(t, sp, "k", head("w"), "other")
	set := sp.Lookup("k")
	defer set.Close()
	old := set.At(1)
	h := head("ignored")
	h.Status, h.Meta = 203, []byte("new")
	fresh, err := sp.Update(old, h, sp.Now())
	if err != nil {
		t.Fatal(err)
	}
	now := sp.Lookup("k")
	defer now.Close()
	if now.Len() != 2 || now.At(1) != fresh {
		t.Fatal("the entry is not in the place of the old one")
	}
	if fresh.Status != 203 || string(fresh.Meta) != "new" || fresh.Variant != "v" || bodyOf(t, fresh) != "body" {
		t.Errorf("got %+v", fresh)
	}
	if old.Status != 200 || string(old.Meta) != "meta of v" {
		t.Error("the old entry changed")
	}
	if _, err := sp.Purge(Selector{Exact, "k"}, false); err != nil {
		t.Fatal(err)
	}
	gone, err := sp.Update(fresh, h, sp.Now())
	if err != nil || bodyOf(t, gone) != "body" {
		t.Errorf("updated after it was removed: %v", err)
	}
	if got := bodies(t, sp, "k"); got != nil {
		t.Errorf("it came back: %q", got)
	}
	if got := s.Stats().Memory; got.Bytes != 0 || got.Entries != 0 {
		t.Errorf("an empty store holds %+v", got)
	}
}

// What is marked between the lookup and the 304 stays marked; what was marked
// before is validated.
func TestUpdateOfPurged(t *testing.T) {
	sp := open(t, Options{}).Space("p")
	put(t, sp, "k", head("v"), "body")
	asked := sp.Now()
	before := sp.Lookup("k")
	defer before.Close()
	soft := func() {
		t.Helper()
		if n, err := sp.Purge(Selector{Exact, "k"}, true); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	soft()
	if fresh, err := sp.Update(before.At(0), head("v"), asked); err != nil || !fresh.Purged {
		t.Errorf("marked after the lookup: got %+v, %v", fresh, err)
	}
	asked = sp.Now()
	after := sp.Lookup("k")
	defer after.Close()
	if fresh, err := sp.Update(after.At(0), head("v"), asked); err != nil || fresh.Purged {
		t.Errorf("marked before the lookup: got %+v, %v", fresh, err)
	}
	soft()
	asked = sp.Now()
	marked := sp.Lookup("k")
	defer marked.Close()
	if n, err := sp.Purge(Selector{Exact, "k"}, true); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if fresh, err := sp.Update(marked.At(0), head("v"), asked); err != nil || !fresh.Purged {
		t.Errorf("marked before the lookup, and after: got %+v, %v", fresh, err)
	}
}

// A purge by the exchange whose response is then stored does not mean that response; one
// by another does.
func TestPurgeWithin(t *testing.T) {
	sp := open(t, Options{}).Space("p")
	for _, c := range []struct {
		others int
		want   error
	}{{0, nil}, {1, ErrPurged}} {
		asked := sp.Now()
		for range c.others {
			if _, err := sp.Purge(Selector{Exact, "k"}, false); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if _, err := sp.PurgeWithin(&asked, Selector{Kind: Prefix}, false); err != nil {
				t.Fatal(err)
			}
		}
		w, err := sp.Create("k", head("v"), asked)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); !errors.Is(err, c.want) {
			t.Errorf("%d others: got %v, want %v", c.others, err, c.want)
		}
	}
}

func TestBadArguments(t *testing.T) {
	sp := open(t, Options{}).Space("p")
	with := func(change func(*Head)) Head {
		h := head("v")
		change(&h)
		return h
	}
	for name, c := range map[string]struct {
		key  string
		head Head
	}{
		"no key":       {"", head("v")},
		"long key":     {strings.Repeat("k", MaxKeyBytes+1), head("v")},
		"no status":    {"k", with(func(h *Head) { h.Status = 0 })},
		"status":       {"k", with(func(h *Head) { h.Status = 1000 })},
		"meta":         {"k", with(func(h *Head) { h.Meta = make([]byte, MaxMetaBytes+1) })},
		"tags":         {"k", with(func(h *Head) { h.Tags = slices.Repeat([]string{"t"}, MaxTags+1) })},
		"empty tag":    {"k", with(func(h *Head) { h.Tags = []string{""} })},
		"field":        {"k", with(func(h *Head) { h.Fields[0].Value = strings.Repeat("v", MaxHeadBytes) })},
		"empty fields": {"k", with(func(h *Head) { h.Fields = make([]exchange.Field, MaxHeadBytes) })},
	} {
		if _, err := sp.Create(c.key, c.head, sp.Now()); !errors.Is(err, ErrArgument) {
			t.Errorf("%s: got %v, want ErrArgument", name, err)
		}
	}
	for _, sel := range []Selector{{Exact, ""}, {Tag, ""}, {Tag + 1, "x"}, {Prefix, strings.Repeat("k", MaxKeyBytes+1)}} {
		if _, err := sp.Purge(sel, false); !errors.Is(err, ErrArgument) {
			t.Errorf("%v: got %v, want ErrArgument", sel, err)
		}
	}
	for _, o := range []Options{{MemoryBytes: 1}, {EntryBytes: -1}} {
		if _, err := Open(o); !errors.Is(err, ErrArgument) {
			t.Errorf("%+v: got %v, want ErrArgument", o, err)
		}
	}
}

func TestWriterEnds(t *testing.T) {
	s := open(t, Options{MemoryBytes: 1 << 20, EntryBytes: 100 << 10})
	sp := s.Space("p")
	create := func(key string) *Writer {
		t.Helper()
		w, err := sp.Create(key, head("v"), sp.Now())
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := create("aborted")
	_, _ = io.WriteString(w, "x")
	w.Abort()
	if err := w.Commit(); !errors.Is(err, ErrDone) {
		t.Errorf("Commit after Abort: got %v, want ErrDone", err)
	}
	w = create("large")
	if n, err := w.Write(make([]byte, 100<<10)); n != 100<<10 || err != nil {
		t.Errorf("as large as the bound: got %d, %v", n, err)
	}
	if _, err := w.Write([]byte{1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if err := w.Commit(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Commit: got %v, want ErrTooLarge", err)
	}
	h := head("v")
	h.Size = 100<<10 + 1
	if _, err := sp.Create("announced", h, sp.Now()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	w = create("empty")
	if err := w.Commit(); err != nil {
		t.Error(err)
	}
	w.Abort()
	if got, want := bodies(t, sp, "empty"), []string{""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, key := range []string{"aborted", "large", "announced"} {
		if got := bodies(t, sp, key); got != nil {
			t.Errorf("%s is there: %q", key, got)
		}
	}
	if got := s.Stats(); got.InFlight != 0 || got.Memory.Entries != 1 || got.Stored != 1 || got.Dropped != 3 {
		t.Errorf("got %+v", got)
	}
}

// Responses that are being stored have half of the memory, all together.
func TestWritersAreBounded(t *testing.T) {
	s := open(t, Options{MemoryBytes: 1 << 20})
	sp := s.Space("p")
	var writers []*Writer
	full := 0
	for i := range 32 {
		w, err := sp.Create(fmt.Sprint(i), head("v"), sp.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 64<<10)); errors.Is(err, ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	if got := s.Stats(); got.InFlight != 512<<10 || full != 24 {
		t.Errorf("got %d bytes and %d refused, want half of the memory and 24", got.InFlight, full)
	}
	for _, w := range writers {
		w.Abort()
	}
	if got := s.Stats(); got.InFlight != 0 || got.Memory.Bytes != 0 {
		t.Errorf("got %+v, want nothing held", got)
	}
}

func TestPurge(t *testing.T) {
	for _, c := range []struct {
		name string
		sel  Selector
		want []string // what is left
	}{
		{"exact", Selector{Exact, "/a"}, []string{"/a/x", "/a/y", "/b"}},
		{"prefix", Selector{Prefix, "/a/"}, []string{"/a", "/b"}},
		{"all", Selector{Prefix, ""}, nil},
		{"tag", Selector{Tag, "red"}, []string{"/a", "/a/y"}},
		{"none", Selector{Tag, "re"}, []string{"/a", "/a/x", "/a/y", "/b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, Options{})
			sp, other := s.Space("p"), s.Space("q")
			keys := map[string][]string{"/a": nil, "/a/x": {"red", "blue"}, "/a/y": {"blue"}, "/b": {"red"}}
			for key, tags := range keys {
				put(t, sp, key, head("v", tags...), key)
				put(t, sp, key, head("w", tags...), key)
				put(t, other, key, head("v", tags...), key)
			}
			for _, soft := range []bool{true, false} {
				n, err := sp.Purge(c.sel, soft)
				if want := 2 * (len(keys) - len(c.want)); n != want || err != nil {
					t.Errorf("soft %t: got %d, %v, want %d", soft, n, err, want)
				}
				for key := range keys {
					want := []string{key, key}
					if !slices.Contains(c.want, key) {
						want = []string{key + " (purged)", key + " (purged)"}
						if !soft {
							want = nil
						}
					}
					if got := bodies(t, sp, key); !slices.Equal(got, want) {
						t.Errorf("soft %t: %s: got %q, want %q", soft, key, got, want)
					}
					if got := bodies(t, other, key); !slices.Equal(got, []string{key}) {
						t.Errorf("another space: got %q", got)
					}
				}
			}
			if n, err := sp.Purge(c.sel, false); n != 0 || err != nil {
				t.Errorf("again: got %d, %v", n, err)
			}
		})
	}
}

// A response that was on its way when its key was purged may be from before.
func TestPurgeReachesWriters(t *testing.T) {
	sp := open(t, Options{}).Space("p")
	during := func(between func()) (*Writer, error) {
		w, err := sp.Create("k", head("v", "tag"), sp.Now())
		if err != nil {
			t.Fatal(err)
		}
		between()
		return w, w.Commit()
	}
	purge := func(sel Selector, soft bool) {
		if _, err := sp.Purge(sel, soft); err != nil {
			t.Error(err)
		}
	}
	if _, err := during(func() { purge(Selector{Tag, "tag"}, false) }); !errors.Is(err, ErrPurged) {
		t.Errorf("removed: got %v, want ErrPurged", err)
	}
	if _, err := during(func() { purge(Selector{Exact, "other"}, false) }); err != nil {
		t.Errorf("another: got %v", err)
	}
	if _, err := during(func() { purge(Selector{Prefix, ""}, true) }); err != nil {
		t.Errorf("marked: got %v", err)
	}
	if got, want := bodies(t, sp, "k"), []string{" (purged)"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err := during(func() {
		for range len(purgeLog{}.ring) + 1 {
			purge(Selector{Exact, "other"}, false)
		}
	})
	if !errors.Is(err, ErrPurged) {
		t.Errorf("more than is remembered: got %v, want ErrPurged", err)
	}
}

func TestHitAllocatesOnlyTheReader(t *testing.T) {
	sp := open(t, Options{}).Space("p")
	put(t, sp, "k", head("v"), "body")
	lookup := testing.AllocsPerRun(100, func() {
		set := sp.Lookup("k")
		set.Close()
	})
	opened := testing.AllocsPerRun(100, func() {
		set := sp.Lookup("k")
		r, _ := set.At(0).Open(0, -1)
		_ = r.Close()
		set.Close()
	})
	if lookup != 0 || opened > 1 {
		t.Errorf("a lookup makes %v allocations, want 0; with Open %v, want 1", lookup, opened)
	}
}
