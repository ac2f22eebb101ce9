package meter

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// The specification's own tests, which come with wazero, behave alike before and
// after a module is metered and lifted: every instruction of WebAssembly 2.0, and modules that import from each
// other.
func TestSpecification(t *testing.T) {
	if race.Enabled {
		t.Skip("it sees nothing of guests")
	}
	dir := wazeroDir(t)
	for _, version := range []string{"v1", "v2"} {
		files, err := filepath.Glob(filepath.Join(dir, "internal/integration_test/spectest", version, "testdata/*.json"))
		if err != nil || len(files) == 0 {
			t.Skipf("wazero does not bring the specification's tests: %v", err)
		}
		for _, file := range files {
			t.Run(version+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				t.Parallel()
				runSpecification(t, dir, file)
			})
		}
	}
}

func wazeroDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil || len(out) == 0 {
		t.Skipf("wazero's source is not there: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// specCommand is a line of a test.
type specCommand struct {
	Type, Filename, Name, As string
	Line                     int
	ModuleType               string `json:"module_type"`
	Action                   struct {
		Type, Field, Module string
		Args                []specValue
	}
}

type specValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// world is one of the two in which a test runs.
type world struct {
	*machine
	named map[string]*instance
}

func newWorld(t *testing.T, dir string, rewrite func([]byte) ([]byte, error)) *world {
	t.Helper()
	w := &world{newMachine(t, rewrite, nil), map[string]*instance{}}
	shared, err := os.ReadFile(filepath.Join(dir, "internal/integration_test/spectest/testdata/spectest.wasm"))
	if err != nil {
		t.Skip(err)
	}
	if _, err := w.runtime.Instantiate(context.Background(), shared); err != nil {
		t.Fatal(err)
	}
	return w
}

func runSpecification(t *testing.T, dir, file string) {
	var test struct{ Commands []specCommand }
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &test); err != nil {
		t.Fatal(err)
	}
	before, after := newWorld(t, dir, same), newWorld(t, dir, Rewrite)
	after.lifts = true
	for n, c := range test.Commands {
		if next := n + 1; c.Type == "module" && next < len(test.Commands) {
			c.As = test.Commands[next].As // if it is registered, that comes next
		}
		want, errWant := before.run(t, filepath.Dir(file), &c)
		got, errGot := after.run(t, filepath.Dir(file), &c)
		if !slices.Equal(got, want) || firstLine(errGot) != firstLine(errWant) {
			t.Errorf("line %d, %s %s: got %x, %v\nwant %x, %v", c.Line, c.Type, c.Action.Field, got, errGot, want, errWant)
		}
	}
}

// firstLine is how a trap reads without the stack, and whether there is any other
// error.
func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	if strings.HasPrefix(line, "wasm error: ") {
		return line
	}
	return "refused"
}

// run does what a command says and returns what is to be the same in both worlds.
func (w *world) run(t *testing.T, dir string, c *specCommand) ([]uint64, error) {
	switch c.Type {
	case "module":
		i, err := w.instantiate(readFile(t, filepath.Join(dir, c.Filename)), c.As)
		if err == nil && c.Name != "" {
			w.named[c.Name] = i
		}
		return nil, err
	case "action", "assert_return", "assert_trap":
		return w.act(c)
	case "assert_invalid", "assert_unlinkable", "assert_uninstantiable", "assert_malformed":
		if strings.HasSuffix(c.Filename, ".wasm") {
			last := w.last
			_, err := w.instantiate(readFile(t, filepath.Join(dir, c.Filename)), "")
			w.last = last
			return nil, err
		}
	}
	return nil, nil // exhaustion only takes time
}

func (w *world) act(c *specCommand) ([]uint64, error) {
	i := w.last
	if c.Action.Module != "" {
		i = w.named[c.Action.Module]
	}
	if i == nil {
		return nil, nil
	}
	if c.Action.Type == "get" {
		return []uint64{i.ExportedGlobal(c.Action.Field).Get()}, nil
	}
	var params []uint64
	for _, arg := range c.Action.Args {
		params = append(params, arg.bits()...)
	}
	f := i.ExportedFunction(c.Action.Field)
	results, err := f.Call(context.Background(), params...)
	if slices.Contains(f.Definition().ResultTypes(), api.ValueType(0x70)) && err == nil {
		return nil, nil // a reference to a function is an address
	}
	return append(results, memoryOf(i)), err
}

// memoryOf is a sum over what the memory that a module exports holds.
func memoryOf(i *instance) (sum uint64) {
	for name := range i.ExportedMemoryDefinitions() {
		m := i.ExportedMemory(name)
		all, _ := m.Read(0, m.Size())
		for n, b := range all {
			if b != 0 {
				sum = (sum ^ uint64(n)<<8 ^ uint64(b)) * 1099511628211
			}
		}
	}
	return sum
}

// bits are a value's as wazero takes them.
func (v *specValue) bits() []uint64 {
	lanes, ok := v.Value.([]any)
	if !ok {
		text, _ := v.Value.(string)
		n := number64(text)
		if v.Type == "externref" && text != "null" {
			n++ // 0 is null
		}
		return []uint64{n}
	}
	width := 128 / len(lanes)
	var halves [2]uint64
	for i, lane := range lanes {
		text, _ := lane.(string)
		bit := i * width
		halves[bit/64] |= number64(text) & (math.MaxUint64 >> (64 - width)) << (bit % 64)
	}
	return halves[:]
}

func number64(text string) uint64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return uint64(n)
	}
	n, _ := strconv.ParseUint(text, 10, 64) // null, and what is no number, is 0
	return n
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
