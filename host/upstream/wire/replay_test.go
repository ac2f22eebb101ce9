package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestReplayKeepsWhatItCan(t *testing.T) {
	r := NewReplay(strings.NewReader("0123456789"), 6)
	first := &bodyReader{from: r}
	buffer := make([]byte, 4)
	first.Read(buffer)
	if !r.Replayable() {
		t.Error("4 of 6 bytes read: must be replayable")
	}
	first.Close()
	if n, err := first.Read(buffer); n != 0 || !errors.Is(err, errDetached) {
		t.Errorf("detached: got %d, %v", n, err)
	}
	second := &bodyReader{from: r}
	got, err := io.ReadAll(second)
	if string(got) != "0123456789" || err != nil {
		t.Errorf("second try: got %q, %v", got, err)
	}
	if r.Replayable() {
		t.Error("10 bytes at a bound of 6: must not be replayable")
	}
	if _, err := io.ReadAll(&bodyReader{from: r}); !errors.Is(err, errNotKept) {
		t.Errorf("third try: got %v, want a clean error", err)
	}
}

// Two tries cannot interleave: the second gets what the first's blocked read
// yields.
func TestReplayWhileTheFirstTryStillReads(t *testing.T) {
	reader, writer := io.Pipe()
	r := NewReplay(reader, 100)
	first := &bodyReader{from: r}
	go first.Read(make([]byte, 10))
	for deadline := time.Now().Add(10 * time.Second); r.mu.TryLock(); time.Sleep(time.Millisecond) {
		r.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the first try does not read")
		}
	}
	first.Close()
	go func() {
		writer.Write([]byte("hello "))
		writer.Write([]byte("world"))
		writer.Close()
	}()
	got, err := io.ReadAll(&bodyReader{from: r})
	if string(got) != "hello world" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte("some body"), uint8(4), uint8(3), uint8(16))
	f.Add([]byte{}, uint8(0), uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, content []byte, firstReads, step, max uint8) {
		r := NewReplay(strings.NewReader(string(content)), int64(max))
		first := &bodyReader{from: r}
		buffer := make([]byte, int(step)+1)
		for range firstReads {
			if _, err := first.Read(buffer); err != nil {
				break
			}
		}
		replayable := r.Replayable()
		got, err := io.ReadAll(&bodyReader{from: r})
		if replayable && (err != nil || string(got) != string(content)) {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
		if !replayable && err == nil {
			t.Errorf("got %q without an error, though a part was lost", got)
		}
	})
}
