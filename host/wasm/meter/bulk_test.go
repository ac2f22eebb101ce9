package meter

import (
	"bytes"
	"testing"
)

// movers exports "fill" and "copy", of three parameters, and "m", 2 MiB of memory.
func movers() []byte {
	all := "\x20\x00\x20\x01\x20\x02"
	return moduleOf(
		section(sectionType, "\x01"+typeBulk), section(sectionFunction, "\x02\x00\x00"), section(sectionMemory, "\x01\x00\x20"),
		section(sectionExport, "\x03\x04fill\x00\x00\x04copy\x00\x01\x01m\x02\x00"),
		codes(all+"\xfc\x0b\x00", all+"\xfc\x0a\x00\x00"))
}

// Memory is moved in pieces, and what comes of it is what comes of moving it at
// once.
func TestMovingMemory(t *testing.T) {
	const end = 2 << 20
	cases := []struct {
		function       string
		to, from, size uint32
	}{
		{"fill", 0, 7, 0},
		{"fill", 3, 7, 1},
		{"fill", 3, 7, piece},
		{"fill", 3, 0x1ff, piece + 1},
		{"fill", 1, 7, 4*piece + 17},
		{"fill", 0, 7, end},
		{"fill", 1, 7, end},
		{"fill", end, 7, 0},
		{"fill", end + 1, 7, 0},
		{"fill", end - piece, 7, piece + 1},
		{"fill", 1<<32 - 1, 7, 1<<32 - 1},
		{"copy", 0, 1, 0},
		{"copy", 9, 5, piece},
		{"copy", 0, 1, 4*piece + 17},
		{"copy", 1, 0, 4*piece + 17},
		{"copy", 5, 5, 4*piece + 17},
		{"copy", 0, piece + 5, 3*piece + 1},
		{"copy", piece + 5, 0, 3*piece + 1},
		{"copy", piece - 5, 0, 3*piece + 1},
		{"copy", 0, end - 2*piece, 2 * piece},
		{"copy", 0, end - 2*piece, 2*piece + 1},
		{"copy", end - 2*piece, 0, 2*piece + 1},
		{"copy", 1<<32 - 1, 0, 1<<32 - 1},
		{"copy", 0, 1<<32 - 1, 1<<32 - 1},
	}
	var runs [2]*instance
	for n, rewrite := range []func([]byte) ([]byte, error){same, Rewrite} {
		runs[n] = newMachine(t, rewrite, nil).load(t, movers())
	}
	for _, tc := range cases {
		var memories [2][]byte
		var errs [2]error
		before := runs[1].ticks()
		for n, i := range runs {
			m := i.ExportedMemory("m")
			memories[n], _ = m.Read(0, m.Size())
			for at := range memories[n] {
				memories[n][at] = byte(at>>13 ^ at*7)
			}
			_, errs[n] = i.call(tc.function, uint64(tc.to), uint64(tc.from), uint64(tc.size))
		}
		if firstLine(errs[1]) != firstLine(errs[0]) || !bytes.Equal(memories[0], memories[1]) {
			t.Errorf("%+v: got %v, want %v; the same memory is %t", tc, errs[1], errs[0], bytes.Equal(memories[0], memories[1]))
		}
		cost := runs[1].ticks() - before
		if least := int64(tc.size >> sizedShift); errs[1] == nil && (cost < least || cost > least+20) {
			t.Errorf("%+v: %d ticks, want %d", tc, cost, least)
		}
	}
}

// A guest that moves much comes to the host between pieces.
func TestMovingMemoryStops(t *testing.T) {
	for _, function := range []string{"fill", "copy"} {
		yields := 0
		m := newMachine(t, Rewrite, func(int64) {
			if yields++; yields == 3 {
				panic(errEnough)
			}
		})
		i := m.load(t, movers())
		if _, err := i.call(function, 0, 0, 2<<20); err == nil {
			t.Errorf("%s: it came to its end", function)
		}
	}
}

// What is no valid instruction does not become one.
func TestInvalidMovesAreRefused(t *testing.T) {
	for _, body := range []string{
		zero + zero + zero + "\xfc\x0b\x01", zero + zero + zero + "\xfc\x0a\x00\x01", zero + zero + zero + "\xfc\x0a\x01\x00",
		zero + zero + "\xfc\x0b\x00",
	} {
		if _, err := newMachine(t, Rewrite, nil).instantiate(plainFunctions(body), ""); err == nil {
			t.Errorf("%x is accepted", body)
		}
	}
	none := moduleOf(section(sectionType, oneType), section(sectionFunction, "\x01\x00"), codes(zero+zero+zero+"\xfc\x0b\x00"))
	if _, err := newMachine(t, Rewrite, nil).instantiate(none, ""); err == nil {
		t.Error("a module without memory fills it")
	}
}
