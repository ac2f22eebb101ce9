package cli

import (
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
)

// stuck is a reader of a log that takes nothing until it is freed.
type stuck struct{ free chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.free
	return len(p), nil
}

// TestStuckLogReader: whoever reads the logs cannot keep a host from starting,
// serving and swapping by reading no more.
func TestStuckLogReader(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", ""))
	reader := stuck{make(chan struct{})}
	h := startForTest(t, manifest, Streams{reader, reader})
	t.Cleanup(func() { close(reader.free) }) // before the host ends
	writeFile(t, manifest, manifestText(t, "2", ""))
	if _, err := h.control.Swap(t.Context(), "test", engine.Source{}); err != nil {
		t.Error(err)
	}
}
