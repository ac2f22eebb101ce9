package wasm

import (
	"errors"
	"reflect"
	"runtime"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// stackBytes is how large the stack is that wazero has made for a function. If it is
// not found, wazero keeps it elsewhere, and stack.find does not find it either.
func stackBytes(t testing.TB, f api.Function) int {
	t.Helper()
	v := reflect.ValueOf(f)
	if v.Kind() == reflect.Pointer {
		if s := v.Elem().FieldByName("stack"); s.IsValid() {
			return s.Len()
		}
	}
	t.Fatalf("there is no stack in a %T", f)
	return 0
}

// mostStack is what wazero makes for what a guest may take: it doubles.
const mostStack = 8 << 20

// However a guest calls itself without end, it is stopped before it takes much.
func TestEndlessRecursion(t *testing.T) {
	for _, name := range []string{"recurse", "mutual", "through"} {
		i := guest(t, ample, nil)
		f := i.Function(name)
		err := i.Invoke(f, nil)
		wantFault(t, err, StackOverflow)
		if !errors.Is(err, ErrStack) {
			t.Errorf("%s: %v, want %v", name, err, ErrStack)
		}
		if n := stackBytes(t, f); n > mostStack {
			t.Errorf("%s: a stack of %d bytes", name, n)
		}
	}
}

// Calls may be as deep as other hosts let them.
func TestDeepCalls(t *testing.T) {
	i := guest(t, ample, nil)
	for range 3 { // the stack is the same one again
		if got, err := invoke(i, "deep", 10_000); err != nil || got != 10_000 {
			t.Errorf("got %d, %v", got, err)
		}
	}
	if n := stackBytes(t, i.Function("deep")); n > maxStack {
		t.Errorf("a function that was not called has %d bytes of stack", n)
	}
}

// What a host function calls has a stack of its own, which is bounded as well; and
// it can't be called from there again.
func TestNestedCalls(t *testing.T) {
	cases := []struct {
		what, inner string
		want        error
	}{
		{"a call that ends", "calls", nil},
		{"endless recursion", "recurse", ErrStack},
		{"a call of what is called already", "inner", ErrNested},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			var i *Instance
			i = guest(t, ample, func(*Call) { i.Nested(i.Function(tc.inner), []uint64{0}) })
			if _, err := invoke(i, "block"); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	var i *Instance
	i = guest(t, ample, func(*Call) { i.Nested(i.Function("calls"), []uint64{0}) })
	for range 3 {
		if _, err := invoke(i, "storm_of", 1000); err != nil {
			t.Fatal(err)
		}
	}
}

// Many that are endless at the same time do not take the host's memory.
func TestManyEndlessRecursions(t *testing.T) {
	const instances = 64
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	guests := make([]*Instance, instances)
	for n := range guests {
		guests[n] = start(t, p, configFor(ample))
	}
	var done sync.WaitGroup
	errs := make([]error, instances)
	before := heapBytes()
	for n, i := range guests {
		done.Go(func() { _, errs[n] = invoke(i, "recurse") })
	}
	ended := make(chan struct{})
	go func() { done.Wait(); close(ended) }()
	most := watchHeap(ended)
	t.Logf("%d MiB -> %d", before>>20, most>>20)
	for _, err := range errs {
		wantFault(t, err, StackOverflow)
	}
	if bound := before + instances*mostStack; most > bound {
		t.Errorf("%d MiB of heap, want %d at most", most>>20, bound>>20)
	}
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watchHeap returns the most that the heap was until something has ended.
func watchHeap(ended <-chan struct{}) (most uint64) {
	for {
		most = max(most, heapBytes())
		select {
		case <-ended:
			return max(most, heapBytes())
		default:
		}
	}
}
