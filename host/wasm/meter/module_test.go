package meter

import (
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

const (
	huge      = "\xff\xff\xff\xff\x0f" // 2^32-1
	oneType   = "\x01\x60\x00\x00"
	growTypes = "\x01\x60\x01\x7f\x01\x7f" // i32 -> i32
)

// What a few bytes declare must not cost gigabytes before anybody looks.
func TestModulesThatDeclareTooMuch(t *testing.T) {
	cases := []struct {
		what, says string
		module     []byte
	}{
		{"types", "section 1: not valid", moduleOf(section(1, huge))},
		{"parameters", "section 1: not valid", moduleOf(section(1, "\x01\x60"+huge))},
		{"imports", "section 2: not valid", moduleOf(section(2, huge))},
		{"a module's name", "section 2: not valid", moduleOf(section(2, "\x01"+huge))},
		{"functions", "section 3: not valid", moduleOf(section(3, huge))},
		{"functions that are there", "1000001 functions", moduleOf(section(1, oneType),
			section(3, "\xc1\x84\x3d"+strings.Repeat("\x00", maxFunctions+1)))},
		{"tables", "section 4: not valid", moduleOf(section(4, huge))},
		{"tables that are there", "65 tables", moduleOf(section(4, "\x41"+strings.Repeat("\x70\x00\x00", 65)))},
		{"elements of a table", "134217728 elements", moduleOf(section(4, "\x01\x70\x00\x80\x80\x80\x40"))},
		{"exports", "section 7: not valid", moduleOf(section(7, huge))},
		{"element segments", "section 9: not valid", moduleOf(section(9, huge))},
		{"elements", "section 9: not valid", moduleOf(section(4, "\x01\x70\x00\x01"), section(9, "\x01\x00\x41\x00\x0b"+huge))},
		{"codes", "section 10: not valid", moduleOf(section(10, huge))},
		{"a code", "section 10: not valid", moduleOf(section(10, "\x01"+huge))},
		{"locals", "4294967295 locals", moduleOf(section(1, oneType), section(3, "\x01\x00"),
			section(10, "\x01\x08\x01"+huge+"\x7f\x0b"))},
		{"data", "section 11: not valid", moduleOf(section(11, "\x01\x01"+huge))},
		{"a section", "section 11: not valid", append(moduleOf(), "\x0b"+huge...)},
		{"names", "section 0: not valid", moduleOf(section(0, "\x04name\x01\x05"+huge))},
		{"loops", "2001 loops", moduleOf(section(1, oneType), section(3, "\x01\x00"), codes(strings.Repeat("\x03\x40\x0b", maxLoops+1)))},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			_, err := Rewrite(tc.module)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error that says %q", err, tc.says)
			}
		})
	}
}

// growing exports "grow": it lets its table, which has these limits, grow by its
// parameter.
func growing(limits string) []byte {
	return moduleOf(
		section(1, growTypes), section(3, "\x01\x00"), section(4, "\x01\x70"+limits),
		section(7, "\x01\x04grow\x00\x00"),
		section(10, "\x01\x09\x00\xd0\x70\x20\x00\xfc\x0f\x00\x0b")) // ref.null func, local.get 0, table.grow 0
}

func TestTablesAreBounded(t *testing.T) {
	cases := []struct {
		what, limits string
		by, want     uint64
	}{
		{"within", "\x00\x02", 5, 2},
		{"to the bound", "\x00\x02", maxTableElements - 2, 2},
		{"past the bound", "\x00\x02", maxTableElements - 1, 1<<32 - 1},
		{"to 16 GiB", "\x00\x02", 1 << 31, 1<<32 - 1},
		{"with a maximum past the bound", "\x01\x02" + huge, 1 << 31, 1<<32 - 1},
		{"with a maximum of its own", "\x01\x02\x04", 3, 1<<32 - 1},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			got, err := newMachine(t, Bound, nil).load(t, growing(tc.limits)).call("grow", tc.by)
			if err != nil {
				t.Fatal(err)
			}
			if uint64(uint32(got[0])) != tc.want {
				t.Errorf("got %d, want %d", int32(got[0]), int32(tc.want))
			}
		})
	}
}

// What does not stand where it must, or tries to pass for the host's, is refused.
func TestModulesThatAreRefused(t *testing.T) {
	cases := []struct {
		what, says string
		module     []byte
	}{
		{"a section twice", "section 1: it is unknown, there twice or out of order", moduleOf(section(1, oneType), section(1, oneType))},
		{"sections out of order", "section 1: it is unknown, there twice or out of order", moduleOf(section(3, "\x00"), section(1, oneType))},
		{"a section that does not exist", "section 13: it is unknown", moduleOf(section(13, "\x00"))},
		{"the meter's import", "imports from ergo:meter", moduleOf(section(1, oneType), section(2, "\x01\x0aergo:meter\x05yield\x00\x00"))},
		{"the meter's export", "exports ergo:ticks", moduleOf(section(6, "\x01\x7f\x00\x41\x00\x0b"), section(7, "\x01\x0aergo:ticks\x03\x00"))},
		{"code that ends early", "section 10: not valid", oneFunction("\x02\x40")},
		{"code that goes on", "section 10: not valid", oneFunction("\x0b\x41\x00\x1a")},
		{"an unknown instruction", "instruction 0xff is not of WebAssembly 2.0", oneFunction("\xff")},
		{"a tail call", "instruction 0x12 is not of WebAssembly 2.0", oneFunction("\x12\x00")},
		{"an atomic", "instruction 0xfe is not of WebAssembly 2.0", oneFunction("\xfe\x03\x00")},
		{"relaxed SIMD", "instruction 0x100 is not of WebAssembly 2.0", oneFunction("\xfd\x80\x02")},
		{"a misc instruction", "instruction 0x12 is not of WebAssembly 2.0", oneFunction("\xfc\x12")},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			_, err := Rewrite(tc.module)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error that says %q", err, tc.says)
			}
		})
	}
}

// What is no module is wazero's to explain.
func TestNoModule(t *testing.T) {
	for _, junk := range []string{"", "junk", "\x00asm\x02\x00\x00\x00"} {
		if got, err := Rewrite([]byte(junk)); err != nil || string(got) != junk {
			t.Errorf("%q: got %q, %v", junk, got, err)
		}
	}
}

// FuzzModule: what comes out is what wazero would have taken anyway.
func FuzzModule(f *testing.F) {
	for _, file := range realModules(f) {
		if len(file.module) < 1<<12 {
			f.Add(file.module)
		}
	}
	for seed := range uint64(4) {
		f.Add(generate(seed))
	}
	f.Add(growing("\x00\x02"))
	f.Add(moduleOf(section(9, "\x01\x00\x41\x00\x0b"+huge)))
	plain := wazero.NewRuntimeWithConfig(f.Context(), wazero.NewRuntimeConfigInterpreter())
	f.Fuzz(func(t *testing.T, module []byte) {
		bounded, err := Bound(module)
		if err != nil {
			return
		}
		if again, err := Bound(bounded); err != nil || string(again) != string(bounded) {
			t.Errorf("what was bounded changes again: %v", err)
		}
		before, errBefore := plain.CompileModule(t.Context(), bounded)
		if errBefore == nil {
			defer before.Close(t.Context())
		}
		metered, err := Rewrite(module)
		if err != nil {
			if errBefore == nil && !strings.Contains(err.Error(), "ergo:") && !strings.Contains(err.Error(), "loops") {
				t.Errorf("a valid module is refused: %v", err)
			}
			return
		}
		after, errAfter := plain.CompileModule(t.Context(), metered)
		if errAfter == nil {
			defer after.Close(t.Context())
		}
		if (errBefore == nil) != (errAfter == nil) {
			t.Errorf("wazero says %v before and %v after", errBefore, errAfter)
		}
	})
}
