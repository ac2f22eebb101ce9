package proxywasm

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

func TestPairs(t *testing.T) {
	fields := []exchange.Field{{Name: "a", Value: "1"}, {Name: "a", Value: ""}, {Name: "", Value: "\xff\x00"}}
	want := le32(3) + le32(1) + le32(1) + le32(1) + le32(0) + le32(0) + le32(2) + "a\x001\x00" + "a\x00\x00" + "\x00\xff\x00\x00"
	data := property.AppendPairs(nil, fields)
	if string(data) != want {
		t.Errorf("got %q, want %q", data, want)
	}
	if got := parsePairs(data); !slices.Equal(got, fields) {
		t.Errorf("got %q, want %q", got, fields)
	}
}

func TestUnsoundPairsAreNone(t *testing.T) {
	many := make([]exchange.Field, maxPairs+1)
	for name, data := range map[string]string{
		"nothing":           "",
		"a NUL":             "\x00",
		"none, counted":     le32(0),
		"half a number":     "\x01\x00",
		"lengths missing":   le32(1) + le32(1),
		"text missing":      le32(1) + le32(1) + le32(1) + "a\x00b",
		"another end":       le32(1) + le32(1) + le32(1) + "a\x00b0",
		"length too large":  le32(1) + le32(1<<32-1) + le32(1) + "a\x00b\x00",
		"count too large":   le32(1<<32-1) + le32(1) + le32(1) + "a\x00b\x00",
		"count wraps":       le32(1<<29) + le32(1) + le32(1) + "a\x00b\x00",
		"too many":          string(property.AppendPairs(nil, many)),
		"a megabyte and up": string(property.AppendPairs(nil, []exchange.Field{{Name: "a", Value: strings.Repeat("b", maxPairBytes)}})),
	} {
		if got := parsePairs([]byte(data)); got != nil {
			t.Errorf("%s: got %d pairs", name, len(got))
		}
		said := name == "nothing" || name == "a NUL" || name == "none, counted"
		if got := isNone([]byte(data)); got != said {
			t.Errorf("%s: says that there are none: got %v", name, got)
		}
	}
	if got := parsePairs(property.AppendPairs(nil, many[1:])); len(got) != maxPairs {
		t.Errorf("%d pairs: got %d", maxPairs, len(got))
	}
	if got := parsePairs(property.AppendPairs(nil, []exchange.Field{{Name: "a", Value: strings.Repeat("b", maxPairBytes-15)}})); len(got) != 1 {
		t.Error("a megabyte is refused")
	}
}

func FuzzPairs(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(property.AppendPairs(nil, []exchange.Field{{Name: "a", Value: "1"}, {Name: "b", Value: ""}}))
	f.Add([]byte(le32(1<<29) + le32(1) + le32(1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		fields := parsePairs(data)
		if len(fields) > maxPairs {
			t.Fatalf("%d pairs", len(fields))
		}
		if again := parsePairs(property.AppendPairs(nil, fields)); !slices.Equal(again, fields) {
			t.Errorf("got %q, want %q", again, fields)
		}
	})
}
