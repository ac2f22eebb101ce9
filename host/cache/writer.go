package cache

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Writer takes a response in. It belongs to one goroutine at a time. It ends with
// Commit or Abort, and must.
type Writer struct {
	space  *Space
	key    string
	entry  *Entry
	asked  Moment
	data   []byte
	held   int64  // bytes of memory that it has taken
	spill  *spill // where the body goes on disk; nil: it is in data
	size   int64
	limit  int64
	err    error // why it takes no more
	yields bool  // to what was stored meanwhile
}

// firstBytes is what a Writer takes at first if it does not know the size.
const firstBytes = 4 << 10

// Create begins to store a response under key that was asked for at that moment. It
// returns ErrArgument, or ErrTooLarge if it knows already.
func (sp *Space) Create(key string, h Head, asked Moment) (*Writer, error) {
	if key == "" || len(key) > MaxKeyBytes || !h.sound() {
		return nil, ErrArgument
	}
	s := sp.store
	if h.Size > s.options.EntryBytes {
		s.counts.dropped.Add(1)
		return nil, ErrTooLarge
	}
	w := &Writer{space: sp, key: strings.Clone(key), asked: asked, limit: s.options.EntryBytes}
	w.entry = newEntry(&h, s.options.Now())
	if h.Size > 0 {
		_ = w.grow(min(h.Size, hintBytes)) // Write says so if there is no room
	}
	return w, nil
}

// hintBytes are what is taken on a mere announcement of a size.
const hintBytes = 256 << 10

// Write adds to the body. It returns ErrTooLarge or ErrFull once a bound is
// reached, from then on, and Commit does so too.
func (w *Writer) Write(p []byte) (int, error) {
	n := w.size + int64(len(p))
	if w.err == nil && n > w.limit {
		w.err = ErrTooLarge
	}
	if w.err == nil {
		w.err = w.add(p, n)
	}
	if w.err != nil {
		w.release()
		return 0, w.err
	}
	w.size = n
	return len(p), nil
}

// add adds to the body, which has n bytes then.
func (w *Writer) add(p []byte, n int64) error {
	s := w.space.store
	if w.spill == nil && (n > int64(cap(w.data)) || s.disk != nil && n >= s.large) {
		err := ErrFull
		if s.disk == nil || n < s.large {
			err = w.grow(min(max(n, 2*int64(cap(w.data)), firstBytes), w.limit))
		}
		if err != nil && s.disk != nil {
			err = w.toDisk()
		}
		if err != nil {
			return err
		}
	}
	if w.spill != nil {
		return w.spill.write(p)
	}
	w.data = append(w.data, p...)
	return nil
}

// toDisk moves the body to disk.
func (w *Writer) toDisk() (err error) {
	if w.spill, err = w.space.store.disk.newSpill(); err == nil {
		err = w.spill.write(w.data)
	}
	w.data = nil
	w.space.store.reserve(-w.held)
	w.held = 0
	return err
}

// grow moves the body to n bytes of memory of its own.
func (w *Writer) grow(n int64) error {
	if !w.space.store.reserve(n) {
		return ErrFull
	}
	w.data = append(make([]byte, 0, n), w.data...)
	w.space.store.reserve(-w.held)
	w.held = n
	return nil
}

// release gives back the memory and the file that w has taken.
func (w *Writer) release() {
	if w.spill != nil {
		w.spill.drop()
		w.spill = nil
	}
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
	it, err := w.commit(trailer)
	if err != nil {
		w.space.store.counts.dropped.Add(1)
	} else {
		w.space.store.counts.stored.Add(1)
		it.offer(w.entry, w.asked.place)
	}
	w.release()
	w.err = ErrDone
	return err
}

func (w *Writer) commit(trailer []exchange.Field) (*item, error) {
	if w.err == nil && !soundTrailer(trailer) {
		w.err = ErrArgument
	}
	if w.err == nil && w.spill != nil {
		w.err = w.spill.close()
	}
	if w.err == nil && w.spill == nil && int64(cap(w.data))-w.size > w.size/8 {
		w.err = w.grow(w.size)
	}
	if w.err != nil {
		return nil, w.err
	}
	s, e := w.space.store, w.entry
	e.addTrailer(trailer)
	e.Size = w.size
	it := newItem(w.space, w.key, w.size)
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, soft := s.purges.since(w.asked.purges, w.space, w.key, e)
	if gone {
		return nil, ErrPurged
	}
	if w.yields && w.space.has(w.key, e.Variant) {
		return nil, nil
	}
	e.Purged = e.Purged || soft
	s.insert(it, e, w.give(it))
	return it, nil
}

// give makes the body, and what it takes, the item's. Store.mu is held.
func (w *Writer) give(it *item) *file {
	if w.spill != nil {
		f := w.spill.file
		it.body.sum = w.spill.sum.Sum32()
		w.spill = nil
		return f
	}
	data := w.data
	it.body.data.Store(&data)
	it.inMemory = w.held
	w.space.store.inFlight -= w.held
	w.held = 0
	return nil
}

// Abort drops the response. After Commit it does nothing.
func (w *Writer) Abort() {
	w.release()
	w.err = ErrDone
}
