package manifest

import (
	"testing"
	"time"
)

func TestDurationText(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"250ms", 250 * time.Millisecond, true}, {"1m30s", 90 * time.Second, true}, {"0", 0, true}, {"0s", 0, true},
		{"1.5h", 90 * time.Minute, true}, {"-1s", 0, false}, {"30", 0, false}, {"", 0, false}, {"1 s", 0, false}, {"9999999h", 0, false},
	}
	for _, test := range tests {
		var d Duration
		if err := d.UnmarshalText([]byte(test.text)); (err == nil) != test.ok || d.D() != test.want {
			t.Errorf("%q: got %v, %v, want %v", test.text, d.D(), err, test.want)
		}
		text, err := d.MarshalText()
		var again Duration
		if err != nil || again.UnmarshalText(text) != nil || again != d {
			t.Errorf("%q: does not come back from %s", test.text, text)
		}
	}
}

func TestSizeText(t *testing.T) {
	tests := []struct {
		text string
		want Size
		ok   bool
		back string
	}{
		{"0B", 0, true, "0B"}, {"512B", 512, true, "512B"}, {"64KiB", 64 << 10, true, "64KiB"}, {"1024KiB", 1 << 20, true, "1MiB"},
		{"16MiB", 16 << 20, true, "16MiB"}, {"3GiB", 3 << 30, true, "3GiB"}, {"1025B", 1025, true, "1025B"}, {"1048576GiB", 1 << 50, true, "1048576GiB"},
		{"1048577GiB", 0, false, "0B"}, {"64", 0, false, "0B"}, {"64KB", 0, false, "0B"}, {"64 KiB", 0, false, "0B"}, {"-1B", 0, false, "0B"}, {"+1B", 0, false, "0B"},
		{"1.5MiB", 0, false, "0B"}, {"MiB", 0, false, "0B"}, {"", 0, false, "0B"}, {"99999999999999999999B", 0, false, "0B"},
	}
	for _, test := range tests {
		var s Size
		if err := s.UnmarshalText([]byte(test.text)); (err == nil) != test.ok || s != test.want {
			t.Errorf("%q: got %d, %v, want %d", test.text, s, err, test.want)
		}
		if text, err := s.MarshalText(); err != nil || string(text) != test.back {
			t.Errorf("%q: comes back as %s (%v), want %s", test.text, text, err, test.back)
		}
	}
}

func TestBodyNeedText(t *testing.T) {
	tests := []struct {
		text string
		want BodyNeed
		ok   bool
	}{
		{"none", BodyNeed{Mode: BodyNone}, true},
		{"stream", BodyNeed{Mode: BodyStream}, true},
		{"peek(4KiB)", BodyNeed{BodyPeek, 4 << 10}, true},
		{"buffer(1MiB)", BodyNeed{BodyBuffer, 1 << 20}, true},
		{"", BodyNeed{}, false}, {"all", BodyNeed{}, false}, {"peek", BodyNeed{}, false}, {"peek(4KiB", BodyNeed{}, false},
		{"buffer()", BodyNeed{}, false}, {"buffer(0B)", BodyNeed{}, false}, {"stream(1B)", BodyNeed{}, false}, {"peek(4)", BodyNeed{}, false},
	}
	for _, test := range tests {
		var n BodyNeed
		if err := n.UnmarshalText([]byte(test.text)); (err == nil) != test.ok || n != test.want {
			t.Errorf("%q: got %+v, %v, want %+v", test.text, n, err, test.want)
		}
		if !test.ok {
			continue
		}
		if text, err := n.MarshalText(); err != nil || string(text) != test.text {
			t.Errorf("%q: comes back as %s (%v)", test.text, text, err)
		}
	}
}
