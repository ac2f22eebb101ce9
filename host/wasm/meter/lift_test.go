package meter

import (
	"slices"
	"testing"
)

// Whatever can't be given to another instance keeps the module as it is.
func TestWhatIsNotLifted(t *testing.T) {
	data := func(body string) []byte {
		return moduleOf(section(sectionMemory, "\x01\x00\x01"), section(sectionData, body))
	}
	cases := []struct {
		what, fixed string
		module      []byte
	}{
		{"table.set", fixedTables, oneFunction("\x41\x00\xd0\x70\x26\x00")},
		{"table.grow", fixedTables, oneFunction("\xd0\x70\x41\x01\xfc\x0f\x00\x1a")},
		{"table.fill", fixedTables, oneFunction("\x41\x00\xd0\x70\x41\x01\xfc\x11\x00")},
		{"table.copy", fixedTables, oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0e\x00\x00")},
		{"table.init", fixedSegments, oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0c\x00\x00")},
		{"elem.drop", fixedSegments, oneFunction("\xfc\x0d\x00")},
		{"memory.init", fixedSegments, oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x08\x00\x00")},
		{"data.drop", fixedSegments, oneFunction("\xfc\x09\x00")},
		{"an imported memory", fixedImports, moduleOf(section(sectionImport, "\x01\x00\x00\x02\x00\x01"))},
		{"an imported global", fixedImports, moduleOf(section(sectionImport, "\x01\x00\x00\x03\x7f\x01"))},
		{"a mutable vector", fixedGlobals, moduleOf(section(sectionGlobal, "\x01\x7b\x01\xfd\x0c"+string(make([]byte, 16))+"\x0b"))},
		{"a mutable reference", fixedGlobals, moduleOf(section(sectionGlobal, "\x01\x70\x01\xd0\x70\x0b"))},
		{"data at a global", fixedData, data("\x01\x00\x23\x00\x0b\x01a")},
		{"data of another memory", fixedData, data("\x01\x02\x01\x41\x00\x0b\x01a")},
		{"data without a memory", fixedData, moduleOf(section(sectionData, "\x01\x00\x41\x00\x0b\x01a"))},
		{"data that is not counted", fixedData, moduleOf(section(sectionMemory, "\x01\x00\x01"),
			section(sectionDataCount, "\x02"), section(sectionData, "\x01\x00\x41\x00\x0b\x01a"))},
		{"a start that is imported", fixedStart, moduleOf(section(sectionType, oneType),
			section(sectionImport, "\x01\x00\x00\x00\x00"), section(sectionStart, "\x00"))},
		{"a start with a parameter", fixedStart, moduleOf(section(sectionType, growTypes),
			section(sectionFunction, "\x01\x00"), section(sectionStart, "\x00"))},
		{"a name of the host's", fixedNames, moduleOf(section(sectionMemory, "\x01\x00\x01"), section(sectionExport, "\x01\x0aergo:start\x02\x00"))},
		{"a cut section", fixedForm, moduleOf(section(sectionGlobal, "\x02\x7f\x01\x41\x00\x0b"))},
		{"no module", fixedForm, []byte("junk")},
	}
	for _, tc := range cases {
		l := Lift(tc.module)
		if l.Fixed != tc.fixed || string(l.Code) != string(tc.module) || l.Data != nil || l.Globals > 0 {
			t.Errorf("%s: got %q, want %q, and the module as it was", tc.what, l.Fixed, tc.fixed)
		}
	}
}

func TestDataIsTakenOut(t *testing.T) {
	module := moduleOf(section(sectionMemory, "\x01\x00\x02"), section(sectionData,
		"\x04"+"\x00\x41\x80\x80\x04\x0b\x03abc"+"\x01\x02de"+"\x02\x00\x41\x7f\x0b\x01f"+"\x00\x41\x05\x0b\x00"))
	l := Lift(module)
	want := []Segment{{65536, []byte("abc")}, {1<<32 - 1, []byte("f")}, {5, nil}}
	same := slices.EqualFunc(l.Data, want, func(a, b Segment) bool {
		return a.Offset == b.Offset && string(a.Bytes) == string(b.Bytes)
	})
	if l.Fixed != "" || !same {
		t.Errorf("got %q, %v, want %v", l.Fixed, l.Data, want)
	}
	if again := Lift(l.Code); again.Data != nil || again.Fixed != "" {
		t.Errorf("what is left has %v, %q", again.Data, again.Fixed)
	}
}

// The guests of tests and the shipped policies can all be cloned; the counter of
// ticks is the host's and no state of theirs.
func TestRealModulesAreLifted(t *testing.T) {
	for _, file := range realModules(t) {
		metered, err := Rewrite(file.module)
		if err != nil {
			t.Fatal(err)
		}
		l, plain := Lift(metered), Lift(file.module)
		if plain.Fixed == fixedImports {
			continue // it is there to be refused
		}
		if l.Fixed != "" || plain.Fixed != "" {
			t.Errorf("%s: %s%s", file.name, l.Fixed, plain.Fixed)
		}
		if l.Globals != plain.Globals {
			t.Errorf("%s: %d mutable globals with a meter, %d without", file.name, l.Globals, plain.Globals)
		}
	}
}

// FuzzLift: any bytes come back as they are or as a module that has nothing left
// to lift but its exports.
func FuzzLift(f *testing.F) {
	f.Add(oneFunction("\x41\x00\xd0\x70\x26\x00"))
	f.Add(oneFunction("\x41\x00\x24\x00"))
	f.Add(moduleOf(section(sectionMemory, "\x01\x00\x02"), section(sectionData, "\x02\x00\x41\x80\x80\x04\x0b\x03abc\x01\x02de")))
	f.Add(moduleOf(section(sectionGlobal, "\x02\x7f\x01\x41\x00\x0b\x7e\x00\x42\x00\x0b")))
	f.Fuzz(func(t *testing.T, module []byte) {
		l := Lift(module)
		if l.Fixed != "" {
			if string(l.Code) != string(module) {
				t.Error("a module that is not lifted was changed")
			}
			return
		}
		m, err := split(l.Code)
		if err != nil {
			t.Fatalf("what was lifted is no module: %v", err)
		}
		if m.sections[sectionData] != nil || m.sections[sectionStart] != nil {
			t.Error("there is something left")
		}
	})
}
