//go:build !wasip1

package guest

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// storing is a host that has stored a response under "k".
func storing(t *testing.T) *Fake {
	t.Helper()
	f := NewFake("GET", "/")
	f.Status, f.ResponseBody = 203, "0123456789"
	f.ResponseHeader = []Field{{"A", "1"}, {"B", "2"}}
	f.Run(func() {
		head := CacheHead{Key: "k", Variant: "v", Meta: strings.Repeat("m", 4000), Tags: []string{"t"}, LeftOut: []string{"b"}}
		if err := CacheStore(head); err != nil {
			t.Fatal(err)
		}
	})
	return f
}

func TestCacheFindsWhatIsStored(t *testing.T) {
	storing(t).Run(func() {
		if CacheLookup("other") != 0 || CacheLookup("") != 0 || CacheLookup("k") != 1 {
			t.Error("got another number of entries")
		}
		want := CacheEntry{Status: 203, Size: 10, Meta: strings.Repeat("m", 4000), Variant: "v"}
		if got, found := CacheGet(0); !found || got != want {
			t.Errorf("got %v, %v", got, found)
		}
		if _, found := CacheGet(1); found {
			t.Error("found an entry that is not there")
		}
		if got := CacheFields(0); !slices.Equal(got, []string{"a", "1"}) {
			t.Errorf("got %q", got)
		}
		if got := CacheFields(1); got != nil {
			t.Errorf("got %q", got)
		}
		if err := CacheStore(CacheHead{}); !errors.Is(err, ErrBadArgument) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCacheServesWhatIsUpdated(t *testing.T) {
	f := storing(t)
	f.Run(func() {
		CacheLookup("k")
		if err := CacheUpdate(0, []string{"c", "3", "d", ""}, "n"); err != nil {
			t.Error(err)
		}
		if err := CacheServe(0, 206, 2, 3); err != nil {
			t.Error(err)
		}
		if err := CacheServe(1, 200, 0, -1); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		current.Cache.Waited = true
		if e, _ := CacheGet(0); e.Meta != "n" || !e.Waited {
			t.Errorf("got %+v", e)
		}
	})
	if f.Status != 206 || f.ResponseBody != "234" || !slices.Equal(f.ResponseHeader, []Field{{"c", "3"}, {"d", ""}}) {
		t.Errorf("got %d %q %v", f.Status, f.ResponseBody, f.ResponseHeader)
	}
}

func TestCacheComposes(t *testing.T) {
	f := storing(t)
	f.Run(func() {
		CacheLookup("k")
		if err := CacheCompose(0, 206, CacheSlice{0, 8, 2}, CacheSlice{0, 0, 3}); err != nil {
			t.Error(err)
		}
		if err := CacheCompose(0, 206, CacheSlice{1, 0, 1}); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		if err := CacheCompose(0, 206, CacheSlice{0, 9, 2}); !errors.Is(err, ErrBadArgument) {
			t.Errorf("got %v", err)
		}
	})
	if f.Status != 206 || f.ResponseBody != "89012" || !slices.Equal(f.ResponseHeader, []Field{{"A", "1"}}) {
		t.Errorf("got %d %q %v", f.Status, f.ResponseBody, f.ResponseHeader)
	}
}

func TestCachePurgesThatOthersDoNotKnowOf(t *testing.T) {
	f := storing(t)
	f.Cache.Untold = true
	f.Run(func() {
		if _, err := CachePurge(CacheKey, "k", false); !errors.Is(err, ErrUntold) || CacheLookup("k") != 0 {
			t.Errorf("got %v", err)
		}
	})
}

func TestCachePurges(t *testing.T) {
	for what, text := range map[CacheSelector]string{CacheKey: "k", CachePrefix: "", CacheTag: "t"} {
		storing(t).Run(func() {
			n, err := CachePurge(what, text, true)
			CacheLookup("k")
			if e, found := CacheGet(0); n != 1 || err != nil || !found || !e.Purged {
				t.Errorf("softly by %d: got %d, %v, %v", what, n, err, e)
			}
			if n, err := CachePurge(what, text, false); n != 1 || err != nil || CacheLookup("k") != 0 {
				t.Errorf("by %d: got %d, %v", what, n, err)
			}
			if _, err := CachePurge(3, text, false); !errors.Is(err, ErrBadArgument) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCacheExchanges(t *testing.T) {
	f := NewFake("GET", "/")
	f.Cache.Joining = CacheWaits
	f.Run(func() {
		if got := CacheJoin("k", 10); got != CacheWaits {
			t.Errorf("got %v", got)
		}
		CacheRelease()
		if err := CacheRefresh(); err != nil || CacheIsRefresh() || CacheScheme() != "http" {
			t.Errorf("got %v", err)
		}
		if err := CacheRemember("this"); err != nil || CacheRecall() != "this" {
			t.Errorf("got %v, %q", err, CacheRecall())
		}
		if err := CacheRemember(strings.Repeat("x", 8<<10+1)); !errors.Is(err, ErrBadArgument) {
			t.Errorf("got %v", err)
		}
	})
	if f.Cache.Released != 1 || f.Cache.Refreshed != 1 || !slices.Equal(f.Cache.Joined, []string{"k"}) {
		t.Errorf("got %+v", f.Cache)
	}
	if !errors.Is(cacheError(3), ErrTooLate) || !errors.Is(cacheError(4), ErrCacheFull) {
		t.Error("got other errors")
	}
}
