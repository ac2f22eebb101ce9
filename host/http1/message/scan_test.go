package message

import (
	"bytes"
	"testing"
)

// Each byte in each place of the eight that are looked at together, and around
// them, stops a scan exactly if it stops one byte by byte.
func TestScansStopWhereTheyMust(t *testing.T) {
	for _, scan := range []struct {
		name  string
		skip  func(b []byte, i int) int
		class uint8
	}{
		{"text", skipText, inText},
		{"target", skipTarget, inTarget},
	} {
		for size := range 18 {
			for at := range size {
				for c := range 256 {
					b := bytes.Repeat([]byte("a"), size)
					b[at] = byte(c)
					for start := 0; start <= at; start += 5 {
						if got, want := scan.skip(b, start), skip(b, start, scan.class); got != want {
							t.Fatalf("%s: %q from %d: got %d, want %d", scan.name, b, start, got, want)
						}
					}
				}
			}
		}
	}
}

// A byte behind one that stops a scan makes no difference, whatever it is.
func TestScansLookAtTheFirst(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			b := append(append([]byte("abc"), byte(first), byte(second)), "defgh"...)
			if got, want := skipText(b, 0), skip(b, 0, inText); got != want {
				t.Fatalf("text: %q: got %d, want %d", b, got, want)
			}
			if got, want := skipTarget(b, 0), skip(b, 0, inTarget); got != want {
				t.Fatalf("target: %q: got %d, want %d", b, got, want)
			}
		}
	}
}
