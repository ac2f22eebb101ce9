package wasm

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// thing stands for an instance.
type thing struct {
	n       int
	stopped atomic.Bool
	lent    atomic.Bool
}

type things struct {
	made    atomic.Int64
	stopped atomic.Int64
	fail    atomic.Bool
}

var errStart = errors.New("it does not start")

func (f *things) pool(t testing.TB, max int, wait time.Duration) *Pool[*thing] {
	return NewPool(openEngine(t, Options{}), PoolConfig[*thing]{
		Max:  max,
		Wait: wait,
		Start: func(context.Context) (*thing, error) {
			if f.fail.Load() {
				return nil, errStart
			}
			return &thing{n: int(f.made.Add(1))}, nil
		},
		Stop: func(i *thing) {
			if i.stopped.Swap(true) {
				t.Error("stopped twice")
			}
			f.stopped.Add(1)
		},
	})
}

func acquire(t testing.TB, p *Pool[*thing]) *thing {
	t.Helper()
	i, err := p.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func closePool(t testing.TB, p *Pool[*thing]) {
	t.Helper()
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestPoolLendsTheLastFirst(t *testing.T) {
	var f things
	p := f.pool(t, 3, ample)
	defer closePool(t, p)
	a, b, c := acquire(t, p), acquire(t, p), acquire(t, p)
	p.Release(a, false)
	p.Release(c, false)
	p.Release(b, false)
	for _, want := range []*thing{b, c, a} {
		got := acquire(t, p)
		if got != want {
			t.Errorf("lent %d, want %d", got.n, want.n)
		}
		defer p.Release(got, false)
	}
}

func TestPoolReplacesWhatIsSpent(t *testing.T) {
	var f things
	p := f.pool(t, 1, ample)
	defer closePool(t, p)
	a := acquire(t, p)
	p.Release(a, true)
	if !a.stopped.Load() {
		t.Error("a spent instance was not stopped")
	}
	b := acquire(t, p)
	if b == a {
		t.Error("a spent instance was lent again")
	}
	p.Release(b, false)
	if got := p.Stats(); got.Discarded != 1 || got.Created != 2 || got.Instances != 1 || got.Busy != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestPoolOverload(t *testing.T) {
	var f things
	p := f.pool(t, 1, time.Millisecond)
	defer closePool(t, p)
	a := acquire(t, p)
	if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrOverload) {
		t.Errorf("got %v, want %v", err, ErrOverload)
	}
	p.Release(a, false)
	if got := p.Stats(); got.Waits != 1 || got.Overloads != 1 || got.Busy != 0 {
		t.Errorf("got %+v", got)
	}
}

// Who waits gets what comes back, or a new one in the place of what was spent,
// in the order in which they came.
func TestPoolHandsOver(t *testing.T) {
	for _, spent := range []bool{false, true} {
		var f things
		p := f.pool(t, 1, ample)
		a := acquire(t, p)
		got := make(chan *thing)
		for n := range 2 {
			go func() { got <- acquire(t, p) }()
			for p.Stats().Waits != uint64(n+1) {
				runtime.Gosched()
			}
		}
		p.Release(a, spent)
		first := <-got
		if (first == a) == spent {
			t.Errorf("spent %v: handed over instance %d", spent, first.n)
		}
		p.Release(first, false)
		if second := <-got; second != first {
			t.Errorf("handed over instance %d, want %d", second.n, first.n)
		}
		p.Release(first, false)
		closePool(t, p)
	}
}

// A failed start leaves its place to who waits.
func TestPoolStartThatFails(t *testing.T) {
	var f things
	p := f.pool(t, 1, ample)
	defer closePool(t, p)
	f.fail.Store(true)
	for range 3 {
		if _, err := p.Acquire(t.Context()); !errors.Is(err, errStart) {
			t.Errorf("got %v, want %v", err, errStart)
		}
	}
	f.fail.Store(false)
	p.Release(acquire(t, p), false)
	if got := p.Stats(); got.Instances != 1 || got.Busy != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestPoolTrim(t *testing.T) {
	var f things
	p := f.pool(t, 8, ample)
	defer closePool(t, p)
	lend := func(n int) {
		lent := make([]*thing, n)
		for k := range lent {
			lent[k] = acquire(t, p)
		}
		for _, i := range slices.Backward(lent) {
			p.Release(i, false)
		}
	}
	lend(8)
	p.Trim() // all were needed until now
	want := []int{8, 3, 3, 1, 1}
	for n, use := range []int{3, 3, 1, 1, 0} {
		if n > 0 {
			p.Trim()
		}
		if got := p.Stats().Instances; got != want[n] {
			t.Errorf("after trim %d: %d instances, want %d", n, got, want[n])
		}
		lend(use)
	}
	if got := f.stopped.Load(); got != 7 {
		t.Errorf("%d were stopped, want 7", got)
	}
}

func TestEngineTrimsPools(t *testing.T) {
	e := openEngine(t, Options{TrimInterval: time.Millisecond})
	var stopped atomic.Int64
	p := NewPool(e, PoolConfig[int]{
		Max: 4, Wait: ample,
		Start: func(context.Context) (int, error) { return 0, nil },
		Stop:  func(int) { stopped.Add(1) },
	})
	for range 4 {
		if _, err := p.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		p.Release(0, false)
	}
	deadline := time.Now().Add(ample)
	for stopped.Load() < 3 {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 3 idle instances were stopped", stopped.Load())
		}
		runtime.Gosched()
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPoolCloseTurnsAwayWhoWaits(t *testing.T) {
	var f things
	p := f.pool(t, 1, ample)
	a := acquire(t, p)
	turned := make(chan error)
	go func() {
		_, err := p.Acquire(context.Background())
		turned <- err
	}()
	for p.Stats().Waits == 0 {
		runtime.Gosched()
	}
	closed := make(chan error)
	go func() { closed <- p.Close(context.Background()) }()
	if err := <-turned; !errors.Is(err, ErrClosed) {
		t.Errorf("who waited got %v, want %v", err, ErrClosed)
	}
	p.Release(a, false)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if !a.stopped.Load() {
		t.Error("what came back after the close was not stopped")
	}
}

func TestHammerPool(t *testing.T) {
	var f things
	p := f.pool(t, 5, ample)
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 300 {
				ctx, cancel := context.WithCancel(context.Background())
				if random.IntN(4) == 0 {
					cancel()
				}
				i, err := p.Acquire(ctx)
				cancel()
				if err != nil {
					continue
				}
				if i.lent.Swap(true) || i.stopped.Load() {
					t.Error("an instance was lent twice, or after it was stopped")
				}
				if random.IntN(10) == 0 {
					p.Trim()
				}
				i.lent.Store(false)
				p.Release(i, random.IntN(5) == 0)
			}
		})
	}
	wg.Wait()
	if got := p.Stats(); got.Busy != 0 || got.Instances > 5 {
		t.Errorf("got %+v", got)
	}
	closePool(t, p)
	if made, stopped := f.made.Load(), f.stopped.Load(); made != stopped {
		t.Errorf("%d were made, %d stopped", made, stopped)
	}
}

// More want an instance than there are, and nobody waits in vain.
func TestPoolLeavesNobodyWaiting(t *testing.T) {
	var f things
	p := f.pool(t, 2, time.Minute)
	defer closePool(t, p)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				p.Release(acquire(t, p), false)
			}
		})
	}
	wg.Wait()
	if got := p.Stats(); got.Busy != 0 || got.Instances > 2 || got.Overloads != 0 {
		t.Errorf("got %+v", got)
	}
}

// A close amid lending leaves nothing behind.
func TestHammerPoolClose(t *testing.T) {
	for range 50 {
		var f things
		p := f.pool(t, 8, ample)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					i, err := p.Acquire(context.Background())
					if err != nil {
						return
					}
					p.Release(i, false)
				}
			})
		}
		runtime.Gosched()
		closePool(t, p)
		wg.Wait()
		if made, stopped := f.made.Load(), f.stopped.Load(); made != stopped {
			t.Fatalf("%d were made, %d stopped", made, stopped)
		}
	}
}
