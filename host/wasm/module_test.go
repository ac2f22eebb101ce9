package wasm

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// moduleOf makes a module of sections.
func moduleOf(sections ...[]byte) []byte {
	module := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		module = append(module, s...)
	}
	return module
}

func section(id byte, body string) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

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
	}
	e := openEngine(t, Options{})
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			_, err := e.Compile(t.Context(), source(tc.module, testABI(startWell, nil)))
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
	e := openEngine(t, Options{})
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			i := start(t, compile(t, e, growing(tc.limits), testABI(startWell, nil)), configFor(ample))
			got, err := invoke(i, "grow", tc.by)
			if err != nil {
				t.Fatal(err)
			}
			if uint64(uint32(got)) != tc.want {
				t.Errorf("got %d, want %d", int32(got), int32(tc.want))
			}
		})
	}
}

// Real modules of several toolchains are understood.
func TestModulesOfPolicies(t *testing.T) {
	files, err := filepath.Glob("../../policies/*/policy.wasm")
	if err != nil || len(files) == 0 {
		t.Fatalf("no modules: %v", err)
	}
	for _, file := range files {
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := boundModule(module, false); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// One call of fd_write can print memory more often than a deadline allows.
func TestPrintingEndsWithTheDeadline(t *testing.T) {
	w := &lineWriter{call: &Call{Log: NewLog(nil, 1), budget: newBudget()}, stream: "stdout"}
	w.call.budget.begin(time.Millisecond)
	<-w.call.Done()
	defer func() {
		if got := recover(); got != ErrTime {
			t.Errorf("got %v, want %v", got, ErrTime)
		}
	}()
	_, _ = w.Write([]byte("line\n"))
}

func FuzzBoundModule(f *testing.F) {
	f.Add(guestModule)
	f.Add(importsModule)
	f.Add(growing("\x00\x02"))
	f.Add(moduleOf(section(9, "\x01\x00\x41\x00\x0b"+huge)))
	f.Fuzz(func(t *testing.T, module []byte) {
		bounded, err := boundModule(module, false)
		if err != nil {
			return
		}
		again, err := boundModule(bounded, false)
		if err != nil || string(again) != string(bounded) {
			t.Errorf("what was bounded changes again: %v", err)
		}
	})
}
