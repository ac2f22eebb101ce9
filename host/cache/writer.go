package cache

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Writer takes a response in. It belongs to one goroutine at a time. It ends with
// Commit or Abort, and must.
type Writer struct {
	space *Space
	key   string
	entry *Entry
	since uint64 // the last purge before it began
	data  []byte
	held  int64 // bytes of memory that it has taken
	limit int64
	err   error // why it takes no more
}

// firstBytes is what a Writer takes at first if it does not know the size.
const firstBytes = 4 << 10

// Create begins to store a response under key. It returns ErrArgument, or
// ErrTooLarge if it knows already.
func (sp *Space) Create(key string, h Head) (*Writer, error) {
	if key == "" || len(key) > MaxKeyBytes || !h.sound() {
		return nil, ErrArgument
	}
	s := sp.store
	if h.Size > s.options.EntryBytes {
		s.counts.dropped.Add(1)
		return nil, ErrTooLarge
	}
	s.mu.Lock()
	since := s.purges.last
	s.mu.Unlock()
	w := &Writer{space: sp, key: strings.Clone(key), since: since, limit: s.options.EntryBytes}
	w.entry = newEntry(&h, s.options.Now())
	if h.Size > 0 {
		w.grow(min(h.Size, hintBytes))
	}
	return w, nil
}

// hintBytes are what is taken on a mere announcement of a size.
const hintBytes = 256 << 10

// Write adds to the body. It returns ErrTooLarge or ErrFull once a bound is
// reached, from then on, and Commit does so too.
func (w *Writer) Write(p []byte) (int, error) {
	n := int64(len(w.data) + len(p))
	if w.err == nil && n > w.limit {
		w.err = ErrTooLarge
	}
	if w.err == nil && n > int64(cap(w.data)) {
		w.grow(min(max(n, 2*int64(cap(w.data)), firstBytes), w.limit))
	}
	if w.err != nil {
		w.release()
		return 0, w.err
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

// grow moves the body to n bytes of memory of its own.
func (w *Writer) grow(n int64) {
	if !w.space.store.reserve(n) {
		w.err = ErrFull
		return
	}
	w.data = append(make([]byte, 0, n), w.data...)
	w.space.store.reserve(-w.held)
	w.held = n
}

// release gives back the memory that w has taken.
func (w *Writer) release() {
	w.data = nil
	w.space.store.reserve(-w.held)
	w.held = 0
}

// reserve takes n bytes of memory for a Writer, or gives some back, and reports
// whether there was room: all of them together have half of it.
func (s *Store) reserve(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && s.inFlight+n > s.options.MemoryBytes/2 {
		return false
	}
	s.inFlight += n
	s.held += n
	s.fit()
	return true
}

// Commit makes the response visible, whole as it is now. It returns the error of
// a Write that failed, or ErrPurged; the response is dropped then.
func (w *Writer) Commit(trailer ...exchange.Field) error {
	err := w.commit(trailer)
	if err != nil {
		w.space.store.counts.dropped.Add(1)
	} else {
		w.space.store.counts.stored.Add(1)
	}
	w.release()
	w.err = ErrDone
	return err
}

func (w *Writer) commit(trailer []exchange.Field) error {
	size := int64(len(w.data))
	if w.err == nil && int64(cap(w.data))-size > size/8 {
		w.grow(size)
	}
	if w.err != nil {
		return w.err
	}
	s, e := w.space.store, w.entry
	if (&Head{Status: e.Status, Fields: trailer}).bytes() > MaxHeadBytes {
		return ErrArgument
	}
	for _, f := range trailer {
		e.Trailer = append(e.Trailer, exchange.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)})
	}
	e.Size = size
	it := &item{space: w.space, key: w.key}
	it.body.size = size
	data := w.data
	it.body.data.Store(&data)
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, soft := s.purges.since(w.since, w.space, w.key, e)
	if gone {
		return ErrPurged
	}
	e.Purged = soft
	s.inFlight -= w.held // they are the entry's now
	w.held = 0
	s.insert(it, e)
	return nil
}

// Abort drops the response. After Commit it does nothing.
func (w *Writer) Abort() {
	w.release()
	w.err = ErrDone
}
