//go:build unix

package engine

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestManifestThatIsNoFile(t *testing.T) {
	b := newBench(t)
	pipe := filepath.Join(b.folder, "pipe.toml")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	failed := make(chan error, 2)
	go func() {
		_, err := b.e.Swap(context.Background(), "swap", Source{Path: pipe})
		failed <- err
		_, err = b.e.Check(context.Background(), Source{Path: pipe})
		failed <- err
	}()
	for range 2 {
		select {
		case err := <-failed:
			if err == nil {
				t.Error("a pipe was taken for a manifest")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("reading a pipe blocks all swaps")
		}
	}
}
