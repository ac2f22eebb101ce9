package cache

import (
	"bytes"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func someCopy(fields ...exchange.Field) Copy {
	h := head("v", "t")
	h.Fields = append(h.Fields, fields...)
	e := newEntry(&h, epoch)
	e.Size = 4
	return Copy{Space: "p", Key: "k", Entry: e, Body: []byte("body")}
}

func TestCopiesAreChecked(t *testing.T) {
	whole := AppendCopy(nil, "1-2", someCopy())
	mark, c, err := ParseCopy(whole)
	if err != nil || c.Space != "p" || c.Key != "k" || mark != "1-2" || string(c.Body) != "body" || c.Entry.Variant != "v" || c.Entry.Tags[0] != "t" {
		t.Errorf("got %+v, %v, want what was written", c, err)
	}
	for i := range whole {
		broken := bytes.Clone(whole)
		broken[i] ^= 0x40
		if _, _, err := ParseCopy(broken); err == nil {
			t.Errorf("a copy whose byte %d is another was taken", i)
		}
		if _, _, err := ParseCopy(whole[:i]); err == nil {
			t.Errorf("%d bytes of a copy were taken", i)
		}
	}
	for _, f := range []exchange.Field{{Name: "a b", Value: "c"}, {Name: "a", Value: "b\r\nc: d"}, {Name: "Transfer-Encoding", Value: "chunked"}} {
		if _, _, err := ParseCopy(AppendCopy(nil, "1-2", someCopy(f))); err == nil {
			t.Errorf("a copy with %q: %q was taken", f.Name, f.Value)
		}
	}
}

// What a copy says is written again as it was, and nothing makes the host panic.
func FuzzCopy(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendCopy(nil, "1-2", someCopy()))
	f.Add(AppendCopy(nil, "", someCopy(exchange.Field{Name: "a", Value: "\n"})))
	f.Fuzz(func(t *testing.T, text []byte) {
		mark, c, err := ParseCopy(text)
		if err != nil {
			return
		}
		sameMark, again, err := ParseCopy(AppendCopy(nil, mark, c))
		if err != nil || again.Key != c.Key || sameMark != mark || !bytes.Equal(again.Body, c.Body) {
			t.Errorf("got %+v, %v, want %+v", again, err, c)
		}
	})
}
