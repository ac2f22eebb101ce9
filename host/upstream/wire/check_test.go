package wire

import "testing"

func TestHealthFrames(t *testing.T) {
	cases := map[string]bool{
		"\x00\x00\x00\x00\x02\x08\x01":     true,
		"\x00\x00\x00\x00\x02\x08\x02":     false, // NOT_SERVING
		"\x00\x00\x00\x00\x00":             false, // UNKNOWN
		"\x01\x00\x00\x00\x02\x08\x01":     false, // compressed
		"\x00\x00\x00\x00\x03\x08\x01":     false,
		"\x00\x00\x00\x00\x02\x08\x01\x00": false,
		"":                                 false,
	}
	for frame, want := range cases {
		if got := serving([]byte(frame)); got != want {
			t.Errorf("%q: got %v, want %v", frame, got, want)
		}
	}
}

func FuzzServing(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02\x08\x01"))
	f.Add([]byte("\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if serving(frame) && (len(frame) != 7 || frame[6] != 1) {
			t.Errorf("%q counts as serving", frame)
		}
	})
}
