package telemetry

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lineBufferBytes = 1 << 20  // lines past it are dropped
	lineFlushBytes  = 32 << 10 // wakes the flusher before its time
	lineDelay       = time.Second
)

// lineWriter writes whole lines behind the back of whoever logs them: a reader
// that is slow or stuck costs lines, counted, but never holds up an exchange.
type lineWriter struct {
	out     io.Writer
	delay   time.Duration
	dropped atomic.Pointer[Counter]

	mu      sync.Mutex
	buf     []byte
	flushes []chan<- struct{} // closed once what is in buf is written
	closed  bool

	wake chan struct{} // holds one
	done chan struct{} // closed when the flusher has ended
}

// newLineWriter starts the flusher, which Close stops; lines wait at most delay.
func newLineWriter(out io.Writer, delay time.Duration, dropped *Counter) *lineWriter {
	w := &lineWriter{out: out, delay: delay, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.dropped.Store(dropped)
	go w.flusher()
	return w
}

// Write takes one line. It never fails and never waits for the reader.
func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if w.closed || len(w.buf)+len(line) > lineBufferBytes {
		w.mu.Unlock()
		w.dropped.Load().Add(1)
		return len(line), nil
	}
	before := len(w.buf)
	w.buf = append(w.buf, line...)
	urgent := before < lineFlushBytes && len(w.buf) >= lineFlushBytes
	w.mu.Unlock()
	if before == 0 || urgent {
		w.signal()
	}
	return len(line), nil
}

// Close writes what is left, waiting for the reader at most until limit.
func (w *lineWriter) Close(limit time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	select {
	case <-w.done:
	case <-time.After(limit):
	}
}

// Flush returns when all lines so far are written, at the latest after limit.
func (w *lineWriter) Flush(limit time.Duration) {
	written := make(chan struct{})
	w.mu.Lock()
	w.flushes = append(w.flushes, written)
	w.mu.Unlock()
	w.signal()
	select {
	case <-written:
	case <-w.done:
	case <-time.After(limit):
	}
}

func (w *lineWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// flusher sleeps until there is a line, gathers others for delay, and writes
// them at once. Two buffers take turns.
func (w *lineWriter) flusher() {
	defer close(w.done)
	var spare []byte
	for {
		<-w.wake
		w.gather()
		w.mu.Lock()
		lines, flushes, closed := w.buf, w.flushes, w.closed
		w.buf, w.flushes = spare[:0], nil
		w.mu.Unlock()
		if len(lines) > 0 {
			// A log that cannot be written has nobody to be told.
			_, _ = w.out.Write(lines)
		}
		for _, written := range flushes {
			close(written)
		}
		if closed {
			return
		}
		spare = lines
	}
}

// gather waits for delay, or until there is much to write or the writer closes.
func (w *lineWriter) gather() {
	if w.delay == 0 || w.hurried() {
		return
	}
	timer := time.NewTimer(w.delay)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-w.wake:
			if w.hurried() {
				return
			}
		}
	}
}

func (w *lineWriter) hurried() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed || len(w.flushes) > 0 || len(w.buf) >= lineFlushBytes
}
