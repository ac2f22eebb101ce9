package meter

import (
	"errors"
	"strings"
	"testing"
)

const (
	nop      = "\x01"
	drop     = "\x1a"
	zero     = "\x41\x00" // i32.const 0
	one      = "\x41\x01"
	callHost = "\x10\x00"
	call1    = "\x10\x01" // the first function of the module
	block    = "\x02\x40"
	loop     = "\x03\x40"
	ifThen   = "\x04\x40"
	orElse   = "\x05"
	end      = "\x0b"
	br0      = "\x0c\x00"
	br1      = "\x0c\x01"
	brIf0    = "\x0d\x00"
	giveBack = "\x0f" // return
)

func nops(n int) string { return strings.Repeat(nop, n) }

// What one call of the last function costs. A function's last "end" costs 1, and
// so does coming to it.
func TestCosts(t *testing.T) {
	long := nops(maxStretch)
	cases := []struct {
		what   string
		bodies []string
		want   int64
	}{
		{"a leaf is its caller's", []string{nops(10)}, 0},
		{"a leaf's caller", []string{nops(10), call1}, 1 + callCost + 11 + 1},
		{"what is no leaf for its size", []string{nops(maxLeaf)}, 1 + maxLeaf + 1},
		{"a long way", []string{long + long}, 1 + 2*maxStretch + 1},
		{"a function of the host", []string{callHost}, 1 + hostCost + 1},
		{"the dearer way of two", []string{callHost + zero + ifThen + nops(30) + orElse + nops(20) + end}, 1 + hostCost + 2 + 30 + 2},
		{"a way around", []string{callHost + block + zero + brIf0 + nops(9) + end}, 1 + hostCost + 1 + 2 + 9 + 1 + 1},
		{"what no way leads to", []string{callHost + block + br0 + long + end}, 1 + hostCost + 2 + 1},
		{"what comes after a return", []string{callHost + giveBack + long}, 1 + hostCost + 1},
		{"a loop that is left at once", []string{loop + nops(5) + end}, 0 + 5 + 1 + 1 + 1 + 1},
		{"a table", []string{"\xd0\x70" + zero + "\xfc\x0f\x00" + drop}, 1 + 2 + sizedCost + 1 + 1},
		{"memory by its size", []string{zero + zero + "\x41\x80\x20" + "\xfc\x0b\x00"}, 1 + 3 + sizedCost + 1 + 4096>>sizedShift},
		{"memory that is not moved", []string{zero + zero + zero + "\xfc\x0a\x00\x00"}, 1 + 3 + sizedCost + 1},
		{"growing memory", []string{zero + "\x40\x00" + drop}, 1 + 1 + hostCost + 1 + 1},
		{"a call through the table", []string{nops(20), zero + "\x11\x00\x00"}, 1 + 1 + indirectCost + 1},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			i := newMachine(t, Rewrite, nil).load(t, plainFunctions(tc.bodies...))
			if _, err := i.call("run"); err != nil {
				t.Fatal(err)
			}
			if got := i.ticks(); got != tc.want {
				t.Errorf("%d ticks, want %d", got, tc.want)
			}
		})
	}
}

// Each round of a loop pays for its dearest way.
func TestCostOfLoops(t *testing.T) {
	const rounds = 1000
	counting := func(body string) string {
		return loop + body + "\x23\x00\x41\x01\x6a\x24\x00" + "\x23\x00\x41\xe8\x07\x48" + brIf0 + end // until the global is 1000
	}
	cases := []struct {
		what, body string
		round      int64
	}{
		{"nothing else", "", 8},
		{"something", nops(7), 8 + 7},
		{"a way that is not taken", zero + ifThen + nops(40) + end, 8 + 2 + 40 + 1},
		{"a stretch and more", nops(maxStretch + 20), 8 + maxStretch + 20},
		{"an inner loop", loop + nops(3) + end, 8 + 1 + 3 + 1},
		{"a host's function", callHost, 8 + hostCost},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			i := newMachine(t, Rewrite, nil).load(t, plainFunctions(counting(tc.body)))
			if _, err := i.call("run"); err != nil {
				t.Fatal(err)
			}
			got := i.ticks()
			if got < rounds*tc.round || got > rounds*tc.round+maxStretch+20 {
				t.Errorf("%d ticks, want %d rounds of %d", got, rounds, tc.round)
			}
		})
	}
}

var errEnough = errors.New("enough")

// Whatever does not end, or not for years, comes to the host in time.
func TestNothingGoesOnByItself(t *testing.T) {
	const (
		deeper  = "\x23\x00\x41\x01\x6a\x24\x00"         // counter + 1
		higher  = "\x23\x00\x41\x01\x6b\x24\x00"         // counter - 1
		tooDeep = "\x23\x00\x41\x3c\x4e\x04\x40\x0f\x0b" // if counter >= 60, return
		fill    = "\x41\x00\x41\x00\x41\x80\x80\xc0\x00\xfc\x0b\x00"
		skipped = "\x02\x40\x0c\x00" + "\x10\x01" + "\x0b" // block, br 0, call 1, end
	)
	twice := make([]string, 60)
	twice[0] = deeper
	for i := 1; i < len(twice); i++ {
		call := "\x10" + string(rune(i))
		twice[i] = call + skipped + call
	}
	cases := []struct {
		what   string
		bodies []string
	}{
		{"spins", []string{loop + br0 + end}},
		{"spins around a block", []string{loop + block + br1 + end + end}},
		{"spins in two loops", []string{loop + loop + one + brIf0 + br1 + end + end}},
		{"spins around what is long", []string{loop + nops(10*maxStretch) + br0 + end}},
		{"spins from the middle", []string{loop + one + ifThen + br1 + end + nops(10*maxStretch) + end}},
		{"calls itself twice", []string{tooDeep + deeper + call1 + call1 + higher}},
		{"call each other twice", []string{tooDeep + deeper + "\x10\x02" + higher, call1 + call1}},
		{"calls itself through the table", []string{tooDeep + deeper + strings.Repeat(zero+"\x11\x00\x00", 2) + higher}},
		{"calls the next one twice", twice},
		{"fills memory", []string{strings.Repeat(fill, 2000)}},
		{"fills memory in calls", []string{strings.Repeat(fill, 10), strings.Repeat(call1, 1000), strings.Repeat("\x10\x02", 1000)}},
		{"grows no memory", []string{loop + zero + "\x40\x00" + drop + br0 + end}},
		{"calls the host", []string{loop + callHost + br0 + end}},
	}
	const most = 50 * Chunk
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			m := newMachine(t, Rewrite, func(used int64) {
				if used > most {
					panic(errEnough)
				}
			})
			_, err := m.load(t, plainFunctions(tc.bodies...)).call("run")
			if !errors.Is(err, errEnough) {
				t.Errorf("got %v, want it to be stopped", err)
			}
		})
	}
}

// In a large function the places to pay at stay few, or compiling it would take
// too long.
func TestPlacesToPayAreFew(t *testing.T) {
	module := plainFunctions(strings.Repeat(callHost, 20*maxSites))
	metered, err := Rewrite(module)
	if err != nil {
		t.Fatal(err)
	}
	if got, most := len(metered)-len(module), 30*maxSites; got > most {
		t.Errorf("%d bytes more, want %d at most", got, most)
	}
	i := newMachine(t, Rewrite, nil).load(t, module)
	if _, err := i.call("run"); err != nil {
		t.Fatal(err)
	}
	if got, want := i.ticks(), int64(20*maxSites*hostCost); got < want || got > want+2 {
		t.Errorf("%d ticks, want %d", got, want)
	}
}

// Traps name functions as before.
func TestNamesAreKept(t *testing.T) {
	module := append(plainFunctions("\x00"), section(sectionCustom, "\x04name"+"\x01\x0d\x02\x00\x04host\x01\x04boom"+"\x02\x03\x01\x01\x00")...)
	_, err := newMachine(t, Rewrite, nil).load(t, module).call("run")
	if err == nil || !strings.Contains(err.Error(), ".boom()") {
		t.Errorf("the trap does not name the function: %v", err)
	}
}
