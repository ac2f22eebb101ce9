package wasm

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

// endless makes a module that exports its last function, "run". All take and
// return nothing.
func endless(table string, bodies ...string) []byte {
	last := binary.AppendUvarint(nil, uint64(len(bodies)-1))
	code := binary.AppendUvarint(nil, uint64(len(bodies)))
	for _, body := range bodies {
		code = append(binary.AppendUvarint(code, uint64(len(body)+2)), "\x00"+body+"\x0b"...)
	}
	count := string(binary.AppendUvarint(nil, uint64(len(bodies))))
	return moduleOf(
		section(1, oneType), section(3, count+strings.Repeat("\x00", len(bodies))),
		section(4, "\x01\x70\x00\x01"), section(5, "\x01\x00\x10"), // 1 MiB
		section(6, "\x01\x7f\x01\x41\x00\x0b"), // a counter
		section(7, "\x01\x03run\x00"+string(last)),
		section(9, "\x01\x00\x41\x00\x0b\x01"+table),
		section(10, string(code)))
}

// Guests without a loop that would not end for years end at their deadline.
func TestGuestsWithoutLoopsAreStopped(t *testing.T) {
	const (
		deeper  = "\x23\x00\x41\x01\x6a\x24\x00"         // counter + 1
		higher  = "\x23\x00\x41\x01\x6b\x24\x00"         // counter - 1
		tooDeep = "\x23\x00\x41\x3c\x4e\x04\x40\x0f\x0b" // if counter >= 60, return
		fill    = "\x41\x00\x41\x00\x41\x80\x80\xc0\x00\xfc\x0b\x00"
		skipped = "\x02\x40\x0c\x00" + "\x10\x00" + "\x0b" // block, br 0, call 0, end
	)
	twice := make([]string, 60)
	twice[0] = deeper
	for i := 1; i < len(twice); i++ {
		call := "\x10" + string(rune(i-1))
		twice[i] = call + skipped + call
	}
	cases := []struct {
		what   string
		module []byte
	}{
		{"calls itself twice", endless("\x00", tooDeep+deeper+"\x10\x00\x10\x00"+higher)},
		{"call each other twice", endless("\x00", tooDeep+deeper+"\x10\x01"+higher, "\x10\x00\x10\x00")},
		{"calls itself through a table", endless("\x00", tooDeep+deeper+strings.Repeat("\x41\x00\x11\x00\x00", 2)+higher)},
		{"calls the next one twice", endless("\x00", twice...)},
		{"fills memory", endless("\x00", strings.Repeat(fill, maxLoops/2))},
		{"fills memory in calls", endless("\x00", strings.Repeat(fill, 10), strings.Repeat("\x10\x00", 1000), strings.Repeat("\x10\x01", 1000))},
	}
	e := openEngine(t, Options{})
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			i := start(t, compile(t, e, tc.module, testABI(startWell, nil)), configFor(5*time.Millisecond))
			_, err := invoke(i, "run")
			wantFault(t, err, TimedOut)
			if errors.Is(err, ErrTime) {
				t.Error("it came to its end and was not stopped")
			}
		})
	}
}

func TestFunctionsOfTooManyLoops(t *testing.T) {
	_, err := openEngine(t, Options{}).Compile(t.Context(),
		source(endless("\x00", strings.Repeat("\x03\x40\x0b", maxLoops+1)), testABI(startWell, nil)))
	if err == nil || !strings.Contains(err.Error(), "4001 loops") {
		t.Errorf("got %v, want the loops to be too many", err)
	}
}

// What ends soon gets no checkpoint, and a path that leads around one has its own.
func TestCheckpoints(t *testing.T) {
	const call0 = "\x10\x00"
	heavy := strings.Repeat("\x01", maxStretch/2)
	cases := []struct {
		what   string
		bodies []string
		want   int
	}{
		{"nothing", []string{""}, 0},
		{"straight on", []string{strings.Repeat("\x01", 3*maxStretch)}, 0},
		{"a call", []string{heavy, call0}, 0},
		{"two calls", []string{heavy, call0 + call0}, 1},
		{"a call on each way", []string{heavy, "\x41\x00\x04\x40" + call0 + "\x05" + call0 + "\x0b"}, 0},
		{"calls after a way around", []string{heavy, call0 + "\x02\x40\x41\x00\x0d\x00" + call0 + "\x0b" + call0}, 2},
		{"a loop of its own between", []string{heavy, call0 + "\x03\x40\x0b" + call0}, 0},
		{"recursion", []string{call0}, 1},
		{"unknown callee", []string{"\x41\x00\x11\x00\x00"}, 1},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			module := endless("\x00", tc.bodies...)
			plain, err := boundModule(module, false)
			if err != nil {
				t.Fatal(err)
			}
			checked, err := boundModule(module, true)
			if err != nil {
				t.Fatal(err)
			}
			loop := string(checkpoint[:])
			if got := strings.Count(string(checked), loop) - strings.Count(string(plain), loop); got != tc.want {
				t.Errorf("%d checkpoints, want %d", got, tc.want)
			}
		})
	}
}
