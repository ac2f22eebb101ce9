package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// watched runs a watcher over paths until the test ends and returns a function
// that waits for it to report once more.
func watched(t *testing.T, polling bool, paths ...string) (next func(why string), reports *atomic.Int64) {
	t.Helper()
	reports = new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	w := &watcher{
		paths:   func() []string { return paths },
		changed: func([]string) { reports.Add(1) },
		log:     slog.New(slog.DiscardHandler),
		quiet:   5 * time.Millisecond,
		poll:    time.Hour, // the system has to tell
		polling: polling,
	}
	if polling {
		w.poll = 5 * time.Millisecond
	}
	w.begin()
	go func() { defer close(ended); w.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	var before int64
	return func(why string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); reports.Load() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not reported", why)
			}
		}
		before = reports.Load()
	}, reports
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	for name, polling := range map[string]bool{"by notification": false, "by polling": true} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			manifest, source := filepath.Join(folder, "proxy.toml"), filepath.Join(folder, "policies", "a")
			writeFile(t, manifest, "one")
			writeFile(t, filepath.Join(source, "policy.wasm"), "one")
			next, _ := watched(t, polling, manifest, source)

			writeFile(t, manifest, "two, in place")
			next("a write in place")

			// As vim and most editors save: aside, then over.
			aside := filepath.Join(folder, ".proxy.toml.swp")
			writeFile(t, aside, "three")
			if err := os.Rename(aside, manifest); err != nil {
				t.Fatal(err)
			}
			next("a rename over the file")

			// As others do: the old one out of the way, then a new one.
			if err := os.Rename(manifest, manifest+"~"); err != nil {
				t.Fatal(err)
			}
			writeFile(t, manifest, "four")
			next("a backup and a new file")

			writeFile(t, filepath.Join(source, "policy.wasm"), "two, rebuilt")
			next("a policy's module")

			// A build that makes its folder anew.
			if err := os.RemoveAll(source); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(source, "policy.wasm"), "three, from scratch")
			next("a folder that was made anew")
			writeFile(t, filepath.Join(source, "policy.wasm"), "four, in the new folder")
			next("a file in the new folder")
		})
	}
}

// TestWatchLink is how Kubernetes mounts a ConfigMap: the file is a link through
// a link that is replaced.
func TestWatchLink(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "v1", "proxy.toml"), "one")
	writeFile(t, filepath.Join(folder, "v2", "proxy.toml"), "two")
	link := filepath.Join(folder, "..data")
	if err := os.Symlink("v1", link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	manifest := filepath.Join(folder, "proxy.toml")
	if err := os.Symlink(filepath.Join("..data", "proxy.toml"), manifest); err != nil {
		t.Fatal(err)
	}
	next, _ := watched(t, false, manifest)
	if err := os.Symlink("v2", link+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+"_tmp", link); err != nil {
		t.Fatal(err)
	}
	next("a link that was replaced")
}

func TestWatchReportsABurstOnce(t *testing.T) {
	folder := t.TempDir()
	manifest := filepath.Join(folder, "proxy.toml")
	other := filepath.Join(folder, "notes.txt")
	writeFile(t, manifest, "one")
	next, reports := watched(t, false, manifest)
	writeFile(t, other, "beside it")
	for range 50 {
		writeFile(t, manifest, "the same length")
	}
	next("a burst")
	if got := reports.Load(); got > 10 {
		t.Errorf("got %d reports for a burst of 50 writes", got)
	}
}

func TestWatchPathsComeAndGo(t *testing.T) {
	folder := t.TempDir()
	manifest, source := filepath.Join(folder, "proxy.toml"), filepath.Join(folder, "elsewhere", "policy.wasm")
	writeFile(t, manifest, "one")
	writeFile(t, source, "one")
	var added atomic.Bool
	reports := make(chan []string, 16)
	w := &watcher{
		paths: func() []string {
			if added.Load() {
				return []string{manifest, source}
			}
			return []string{manifest}
		},
		changed: func(paths []string) { reports <- paths },
		log:     slog.New(slog.DiscardHandler),
		quiet:   time.Millisecond,
		poll:    time.Hour,
	}
	w.begin()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx) }()
	defer func() { cancel(); <-ended }()

	added.Store(true)
	w.look()
	for _, path := range []string{manifest, source} {
		writeFile(t, path, "two, changed")
		select {
		case got := <-reports:
			if !slices.Equal(got, []string{path}) { // a new path is no change by itself
				t.Errorf("got %q, want %q", got, path)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("a change of %s was not reported", path)
		}
	}
}

// TestWatchInABusyFolder: a log that grows beside the manifest neither hides a
// change nor counts as one.
func TestWatchInABusyFolder(t *testing.T) {
	folder := t.TempDir()
	manifest := filepath.Join(folder, "proxy.toml")
	writeFile(t, manifest, "one")
	ended := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		log, err := os.Create(filepath.Join(folder, "access.log"))
		if err != nil {
			t.Error(err)
			return
		}
		defer log.Close()
		for {
			select {
			case <-ended:
				return
			default:
				_, _ = log.WriteString("a line\n")
			}
		}
	})
	defer busy.Wait()
	defer close(ended)
	next, reports := watched(t, false, manifest)
	writeFile(t, manifest, "two, changed")
	next("a change beside a log")
	writeFile(t, manifest, "three, changed again")
	next("another one")
	if got := reports.Load(); got > 4 {
		t.Errorf("got %d reports for 2 changes", got)
	}
}
