package wasm

import (
	"bytes"
	_ "embed"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/race"
)

//go:embed testdata/clone.wasm
var cloneModule []byte

// imageOf is an image of a started instance that is gone by then.
func imageOf(t testing.TB, p *Program, config InstanceConfig, configure func(*Instance)) *Image {
	t.Helper()
	i, err := p.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	configure(i)
	m, err := i.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return m
}

func clone(t testing.TB, m *Image, config InstanceConfig) *Instance {
	t.Helper()
	i, err := m.Clone(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return i
}

func wantCall(t *testing.T, i *Instance, name string, want uint64) {
	t.Helper()
	if got, err := invoke(i, name); err != nil || got != want {
		t.Errorf("%s returns %d, %v, want %d", name, got, err, want)
	}
}

const mark = 3000 // of memory that testdata/guest.wat does not use

// state is what testdata/clone.wat has started with.
const state = 20

func TestPlainInstanceBeginsAsItsModuleSays(t *testing.T) {
	for _, options := range []Options{{}, {HeapMemory: true}, {Unmetered: true}} {
		p := compile(t, openEngine(t, options), cloneModule, testABI(startWell, nil))
		wantCall(t, start(t, p, configFor(ample)), "state", state)
	}
}

func TestCloneIsWhatTheInstanceWas(t *testing.T) {
	for _, options := range []Options{{}, {Unmetered: true}} {
		p := compile(t, openEngine(t, options), cloneModule, testABI(startWell, nil))
		m := imageOf(t, p, configFor(ample), func(*Instance) {})
		a, b := clone(t, m, configFor(ample)), clone(t, m, configFor(ample))
		wantCall(t, a, "state", state)
		if _, err := invoke(a, "touch"); err != nil {
			t.Fatal(err)
		}
		wantCall(t, b, "state", state)
		wantCall(t, clone(t, m, configFor(ample)), "state", state)
	}
}

// The instance that the image was made of goes on, and nobody sees it.
func TestImageIsOfAMoment(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	i := start(t, p, configFor(ample))
	wantCall(t, i, "calls", 1)
	i.Memory().WriteByte(mark, 1)
	m, err := i.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	i.Memory().WriteByte(mark, 2)
	wantCall(t, i, "calls", 2)
	c := clone(t, m, configFor(ample))
	wantCall(t, c, "calls", 2)
	if got, _ := c.Memory().ReadByte(mark); got != 1 {
		t.Errorf("the clone's mark is %d", got)
	}
}

func TestCloneGrows(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	m := imageOf(t, p, configFor(ample), func(i *Instance) {
		if _, err := invoke(i, "grow", 2); err != nil {
			t.Fatal(err)
		}
		i.Memory().WriteByte(3<<16-1, 9)
	})
	c := clone(t, m, configFor(ample))
	if got, err := invoke(c, "grow", 13); err != nil || got != 3 {
		t.Fatalf("grew from %d pages, %v", got, err)
	}
	if got, err := invoke(c, "grow", 1); err != nil || int32(got) != -1 {
		t.Errorf("grew over the limit from %d pages, %v", int32(got), err)
	}
	all, _ := c.Memory().Read(0, 16<<16)
	if all[3<<16-1] != 9 || bytes.Count(all[3<<16:], []byte{0}) != 13<<16 {
		t.Error("what is behind the image is not zeros")
	}
	all[16<<16-1] = 1
	if c.Reset() {
		t.Error("a clone that has grown was made small again")
	}
}

func TestReset(t *testing.T) {
	var printed bytes.Buffer
	config := configFor(ample)
	config.Log = NewLog(plainLogger(&printed), 10)
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	m := imageOf(t, p, config, func(i *Instance) { i.Memory().WriteByte(mark, 1) })
	c := clone(t, m, config)
	for range 3 {
		wantCall(t, c, "calls", 1)
		memory, _ := c.Memory().Read(0, c.Memory().Size())
		if memory[mark] != 1 || memory[1<<16-1] != 0 {
			t.Fatal("a clone sees what it wrote before it was reset")
		}
		memory[mark], memory[1<<16-1] = 2, 2
		if !c.Reset() {
			t.Fatal("a clone can't be reset")
		}
	}
	if _, err := invoke(c, "trap"); err == nil {
		t.Fatal("it did not trap")
	}
	if c.Reset() {
		t.Error("a clone that trapped is used again")
	}
	if start(t, p, config).Reset() {
		t.Error("an instance without an image was reset")
	}
}

func TestResetCostsNothingNew(t *testing.T) {
	if race.Enabled {
		t.Skip("it makes allocations of its own")
	}
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	c := clone(t, imageOf(t, p, configFor(ample), func(*Instance) {}), configFor(ample))
	if n := testing.AllocsPerRun(100, func() { c.Reset() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestClonesDrawForThemselves(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), cloneModule, testABI(startWell, nil))
	m := imageOf(t, p, configFor(ample), func(*Instance) {})
	c := clone(t, m, configFor(ample))
	seen := map[uint64]bool{}
	for n := range 4 {
		if n == 2 && !c.Reset() {
			t.Fatal("it can't be reset")
		}
		if n == 3 {
			c = clone(t, m, configFor(ample))
		}
		drawn, err := invoke(c, "drawn")
		if err != nil {
			t.Fatal(err)
		}
		if seen[drawn] != (n == 1) {
			t.Errorf("look %d: %x, seen before: %t", n, drawn, seen[drawn])
		}
		seen[drawn] = true
	}
}

func TestWhatIsNotCloned(t *testing.T) {
	e := openEngine(t, Options{})
	reseeds := compile(t, e, cloneModule, testABI(startWell, nil))
	silent := compile(t, e, guestModule, testABI(startWell, nil))
	if err := reseeds.Clonable([]string{Random}); err != nil {
		t.Errorf("it says how it is reseeded: %v", err)
	}
	if err := silent.Clonable([]string{Random}); !errors.Is(err, ErrNotClonable) || !strings.Contains(err.Error(), Reseed) {
		t.Errorf("it does not say how it is reseeded: %v", err)
	}
	onHeap := compile(t, openEngine(t, Options{HeapMemory: true}), guestModule, testABI(startWell, nil))
	if _, err := start(t, onHeap, configFor(ample)).Snapshot(); !errors.Is(err, ErrNotClonable) {
		t.Errorf("memory on the heap: %v", err)
	}
	i := start(t, silent, configFor(ample))
	if _, err := invoke(i, "trap"); err == nil {
		t.Fatal("it did not trap")
	}
	if _, err := i.Snapshot(); !errors.Is(err, ErrNotClonable) {
		t.Errorf("an instance that trapped: %v", err)
	}
}

func TestNobodyWritesToAnImage(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	m := imageOf(t, p, configFor(ample), func(i *Instance) { i.Memory().WriteByte(mark, 1) })
	file := m.frozen.file
	if _, err := file.WriteAt([]byte{2}, 0); err == nil {
		t.Error("it was written to")
	}
	for _, size := range []int64{0, 1 << 20} {
		if err := file.Truncate(size); err == nil {
			t.Errorf("it was made %d bytes long", size)
		}
	}
	b, err := syscall.Mmap(int(file.Fd()), 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err == nil {
		t.Error("it was mapped to be written to")
		_ = syscall.Munmap(b)
	}
}

// What is no memory and no global can't carry anything from one exchange to the
// next, either.
func TestStreamsStayAsTheyAre(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), cloneModule, testABI(startWell, nil))
	wantCall(t, start(t, p, configFor(ample)), "hush", 3)
}

// What a clone takes from the system goes with it.
func TestManyClonesLeaveNothing(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	config := configFor(ample)
	m := imageOf(t, p, config, func(*Instance) {})
	round := func(clones int) {
		for range clones {
			c, err := m.Clone(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			c.Memory().WriteByte(mark, 1)
			_ = c.Close(t.Context())
		}
	}
	round(100)
	before := usage(t)
	round(10_000)
	after := usage(t)
	if after.files > before.files+2 || after.mappings > before.mappings+16 {
		t.Errorf("got %+v, before %+v", after, before)
	}
	if grown := after.resident - before.resident; grown > 16<<20 && !race.Enabled {
		t.Errorf("%d KiB more are resident", grown>>10)
	}
	if got := config.Held.Load(); got != m.frozen.stored {
		t.Errorf("%d bytes are held, of which the image has %d", got, m.frozen.stored)
	}
}

type used struct{ files, mappings, resident int }

func usage(t *testing.T) used {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return used{len(files), bytes.Count(maps, []byte("\n")), pages * os.Getpagesize()}
}

// Clones are made, used, broken, reset, measured and closed from many sides, and
// the image is closed among them.
func TestHammerImages(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	config := configFor(ample)
	for range 4 {
		i, err := p.Start(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		m, err := i.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		_ = i.Close(t.Context())
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() { hammerImage(t, m, config, worker) })
		}
		all.Go(func() { config.Held.Load() })
		all.Go(func() {
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
	}
	if got := config.Held.Load(); got != 0 {
		t.Errorf("%d bytes are held by nobody", got)
	}
}

func hammerImage(t *testing.T, m *Image, config InstanceConfig, worker int) {
	for n := range 50 {
		c, err := m.Clone(t.Context(), config)
		if errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		for range n % 3 {
			if got, err := invoke(c, "calls"); err != nil || got != 1 {
				t.Errorf("call %d of a fresh clone, %v", got, err)
			}
			if !c.Reset() {
				t.Error("a clone can't be reset")
			}
		}
		if worker%2 == 0 {
			_, _ = invoke(c, "trap")
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
