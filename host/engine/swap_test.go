package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// withRule gives every stage a failure rule.
func withRule(from Source, rule string) Source {
	from.Data = []byte(strings.ReplaceAll(string(from.Data), "\n[[edge.stage.use]]", "\non_error = "+rule+"\n[[edge.stage.use]]"))
	return from
}

func TestCancelledSwapChangesNothing(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("a")}, nil))
	for _, rule := range []string{`"deny"`, `"skip"`} {
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error, 1)
		go func() {
			_, err := b.e.Swap(ctx, "swap", withRule(b.manifest([]string{mark("b"), `{ stall = true }`}, nil), rule))
			failed <- err
		}()
		<-b.loader.stalling
		cancel()
		var problems manifest.Problems
		if err := <-failed; !errors.Is(err, context.Canceled) || errors.As(err, &problems) {
			t.Errorf("with on_error = %s: got %v, want only that it was cancelled", rule, err)
		}
		if got := b.get().header.Value("x-seen"); got != "a" {
			t.Errorf("with on_error = %s: exchanges see %s, want a", rule, got)
		}
		if n := b.loader.open(); n != 1 {
			t.Errorf("with on_error = %s: %d policies are open, want 1", rule, n)
		}
	}
}

func TestTurnsAreWaitedForWithinTheContext(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("a")}, nil))
	holding, release := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = b.e.Swap(holding, "swap", b.manifest([]string{`{ stall = true }`}, nil))
	}()
	<-b.loader.stalling
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	from := b.manifest([]string{mark("b")}, nil)
	for name, try := range map[string]func() error{
		"swap":     func() error { _, err := b.e.Swap(ctx, "swap", from); return err },
		"check":    func() error { _, err := b.e.Check(ctx, from); return err },
		"rollback": func() error { _, err := b.e.Rollback(ctx, 1); return err },
	} {
		if err := try(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s during a swap: got %v, want its own context's end", name, err)
		}
	}
	release()
	<-done
}

func TestClosedEngineTakesNoGeneration(t *testing.T) {
	b := newBench(t)
	from := b.manifest([]string{mark("a")}, nil)
	b.swap(from)
	if err := b.e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.e.Swap(context.Background(), "swap", b.manifest([]string{mark("b")}, nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("swap: got %v, want ErrClosed", err)
	}
	if _, err := b.e.Rollback(context.Background(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("rollback: got %v, want ErrClosed", err)
	}
	if _, err := b.e.Check(context.Background(), from); !errors.Is(err, ErrClosed) {
		t.Errorf("check: got %v, want ErrClosed", err)
	}
	if b.e.Ready() {
		t.Error("a closed engine is ready")
	}
}

func TestDrainDeadlineHoldsForKeptGenerations(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil))
	held := &answer{hold: make(chan struct{}), sending: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		b.get(func(x *exchange.Exchange) { x.Sink = held })
		close(done)
	}()
	<-held.sending
	b.swap(b.manifest([]string{mark("new")}, nil, `drain_timeout = "10ms"`))
	<-done
	if !errors.Is(held.err, errDrained) {
		t.Errorf("the exchange ended with %v, want the drain deadline", held.err)
	}
	if _, err := b.e.Rollback(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if got := b.get().header.Value("x-seen"); got != "old" {
		t.Errorf("after the rollback exchanges see %s, want old", got)
	}
}

func TestRollbackTakesTheDrainDeadlineBack(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil, `drain_timeout = "1h"`))
	old := b.e.current.Load()
	b.swap(b.manifest([]string{mark("new")}, nil, `drain_timeout = "1h"`))
	if old.expiry == nil {
		t.Fatal("the old generation has no drain deadline")
	}
	if _, err := b.e.Rollback(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if old.expiry != nil {
		t.Error("the running generation has a drain deadline")
	}
}

func TestFewerKeptGenerations(t *testing.T) {
	b := newBench(t)
	for _, m := range []string{"1", "2", "3", "4"} {
		b.swap(b.manifest([]string{mark(m)}, nil, "keep_generations = 3"))
	}
	if got := len(b.e.Status().Kept); got != 3 {
		t.Errorf("%d are kept, want 3", got)
	}
	b.swap(b.manifest([]string{mark("5")}, nil, "keep_generations = 1"))
	eventually(t, "the surplus is closed", func() bool { return b.loader.open() == 2 })
	ids, err := b.e.disk.Archive.IDs()
	if err != nil || len(ids) != 2 {
		t.Errorf("the archive has %v, %v; want two generations", ids, err)
	}
	b.swap(b.manifest([]string{mark("6")}, nil, "keep_generations = 0"))
	if _, err := b.e.Rollback(context.Background(), 1); !errors.Is(err, ErrNoGeneration) {
		t.Errorf("got %v, want ErrNoGeneration", err)
	}
}

func TestRollbackAfterARestartPassesOverWhatWasLeft(t *testing.T) {
	b := newBench(t)
	for _, m := range []string{"1", "2", "bad"} {
		b.swap(b.manifest([]string{mark(m)}, nil))
	}
	if _, err := b.e.Rollback(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	b.start()
	if got := b.swap(b.manifest([]string{mark("4")}, nil)).To; got != 4 {
		t.Errorf("the next generation is %d, want 4: no id is used twice", got)
	}
	if _, err := b.e.Rollback(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if got := b.get().header.Value("x-seen"); got != "2" {
		t.Errorf("exchanges see %s, want 2: the bad one was rolled back", got)
	}
}

func TestSameTextInAnotherFolderIsAnotherManifest(t *testing.T) {
	b := newBench(t)
	from := b.manifest([]string{mark("a")}, nil)
	b.swap(from)
	other := filepath.Join(t.TempDir(), "proxy.toml")
	if err := os.CopyFS(filepath.Join(filepath.Dir(other), "marker"), os.DirFS(filepath.Join(b.folder, "marker"))); err != nil {
		t.Fatal(err)
	}
	change := b.swap(Source{Path: other, Data: from.Data})
	if change.From == change.To || change.Kept != 1 {
		t.Errorf("got %+v, want a new generation with the same policy", change)
	}
	if got := b.e.Manifest().Source().File(); got != other {
		t.Errorf("the running manifest is %s, want %s", got, other)
	}
}
