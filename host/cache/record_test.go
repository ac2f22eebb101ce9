package cache

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func testStored() stored {
	h := head("v", "tag")
	e := newEntry(&h, epoch)
	e.addTrailer([]exchange.Field{{Name: "X", Value: "1"}})
	e.Size, e.Purged = 10, true
	return stored{id: 300, sum: 7, space: "p", key: "k", entry: e}
}

func TestRecordRoundTrip(t *testing.T) {
	want := testStored()
	b := appendPut(nil, want)
	content, err := readRecord(bytes.NewReader(b), nil)
	if err != nil || content[0] != recordPut {
		t.Fatal(content, err)
	}
	got, err := decodeStored(&decoder{text: string(content[1:])})
	if err != nil {
		t.Fatal(err)
	}
	if !got.entry.Stored.Equal(epoch) {
		t.Errorf("stored at %v", got.entry.Stored)
	}
	got.entry.Stored = want.entry.Stored
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for n := range len(b) {
		if _, err := readRecord(bytes.NewReader(b[:n]), nil); (n == 0 && !errors.Is(err, io.EOF)) || (n > 0 && !errors.Is(err, errRecord)) {
			t.Errorf("%d of %d bytes: got %v", n, len(b), err)
		}
	}
}

// A record of any bytes is refused, or is one that Create would take.
func FuzzIndex(f *testing.F) {
	whole := appendDelete(appendPut([]byte(indexMagic), testStored()), 5)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		for id, p := range readIndex(bytes.NewReader(b)) {
			if p.id != id || p.key == "" || p.entry == nil || p.entry.Size < 0 {
				t.Errorf("got %+v", p)
			}
		}
	})
}

func FuzzStored(f *testing.F) {
	f.Add(string(appendStored(nil, testStored())))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := decodeStored(&decoder{text: s})
		if err != nil {
			return
		}
		again, err := decodeStored(&decoder{text: string(appendStored(nil, p))})
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("got %+v, %v, want %+v", again, err, p)
		}
	})
}
