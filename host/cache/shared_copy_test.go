package cache

import (
	"bytes"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func someCopy(fields ...exchange.Field) sharedCopy {
	h := head("v", "t")
	h.Fields = append(h.Fields, fields...)
	e := newEntry(&h, epoch)
	e.Size = 4
	return sharedCopy{space: "p", key: "k", entry: e, body: []byte("body"), place: "1-2"}
}

func TestCopiesAreChecked(t *testing.T) {
	whole := appendCopy(nil, someCopy())
	c, err := decodeCopy(whole)
	if err != nil || c.space != "p" || c.key != "k" || c.place != "1-2" || string(c.body) != "body" || c.entry.Variant != "v" || c.entry.Tags[0] != "t" {
		t.Errorf("got %+v, %v, want what was written", c, err)
	}
	for i := range whole {
		broken := bytes.Clone(whole)
		broken[i] ^= 0x40
		if _, err := decodeCopy(broken); err == nil {
			t.Errorf("a copy whose byte %d is another was taken", i)
		}
		if _, err := decodeCopy(whole[:i]); err == nil {
			t.Errorf("%d bytes of a copy were taken", i)
		}
	}
	for _, f := range []exchange.Field{{Name: "a b", Value: "c"}, {Name: "a", Value: "b\r\nc: d"}, {Name: "Transfer-Encoding", Value: "chunked"}} {
		if _, err := decodeCopy(appendCopy(nil, someCopy(f))); err == nil {
			t.Errorf("a copy with %q: %q was taken", f.Name, f.Value)
		}
	}
}

func TestPlacesAreInOrder(t *testing.T) {
	places := []string{"9-0", "9-9", "9-10", "10-0", "1700000000000-1"}
	for i, a := range places {
		for j, b := range places {
			if got := before(a, b); got != (i < j) {
				t.Errorf("%s before %s: got %v", a, b, got)
			}
		}
	}
}

// What a copy says is written again as it was, and nothing makes the host panic.
func FuzzCopy(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendCopy(nil, someCopy()))
	f.Add(appendCopy(nil, someCopy(exchange.Field{Name: "a", Value: "\n"})))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeCopy(text)
		if err != nil {
			return
		}
		again, err := decodeCopy(appendCopy(nil, c))
		if err != nil || again.key != c.key || again.place != c.place || !bytes.Equal(again.body, c.body) {
			t.Errorf("got %+v, %v, want %+v", again, err, c)
		}
	})
}
