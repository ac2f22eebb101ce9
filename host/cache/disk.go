package cache

import (
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// disk is the second tier: a file for each body, and an index of the heads. What
// is stored is written down soon after, by one goroutine, so that a process that
// is killed loses what was not written yet, and nothing else.
//
// A body's file is whole before the index names it, and is never written to
// again. A file without an index record, or the reverse, is removed at start. A
// hard purge takes the file away, and that alone ends the entry.
type disk struct {
	store  *Store
	folder string
	lock   *os.File
	index  index

	saves chan *item
	kick  chan struct{} // there is something to write or to remove
	work  sync.WaitGroup

	hits, evictions atomic.Uint64

	failures atomic.Uint64 // of reads and writes
	damaged  atomic.Uint64 // bodies that are not what was written
	dropped  atomic.Uint64 // entries not written

	// Store.mu guards these.
	queue   fifo
	last    uint64 // id
	bytes   int64  // of files, but for those that are leaving
	pending int64  // bytes in memory that are to be written
	unsaved int    // entries that they are of
	left    int64  // bytes of files that are to be removed, or are still being read
	closed  bool

	goneMu sync.Mutex // is taken after Store.mu
	gone   []*file    // to be removed
}

// file is a body on disk.
type file struct {
	id      uint64
	size    int64 // that it counts
	mu      sync.Mutex
	checked bool // mu guards it
}

const (
	maxSaves   = 4096
	maxBatch   = 64 // entries that are saved before the index says so, if more wait
	blockBytes = 4 << 10
	// largeBytes and more go to disk while they are received, and stay there: the
	// kernel keeps what is in use in memory.
	largeBytes = 1 << 20
)

// onDisk is what a file of that size takes.
func onDisk(size int64) int64 {
	return max(blockBytes, (size+blockBytes-1)/blockBytes*blockBytes)
}

func openDisk(s *Store) error {
	d := &disk{store: s, folder: s.options.Disk, saves: make(chan *item, maxSaves), kick: make(chan struct{}, 1)}
	if err := os.MkdirAll(filepath.Join(d.folder, "bodies"), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(d.folder, 0o700); err != nil {
		return err
	}
	var err error
	if d.lock, err = lockFile(filepath.Join(d.folder, "lock")); err != nil {
		return fmt.Errorf("lock %s: %w", d.folder, err)
	}
	d.index.path = filepath.Join(d.folder, "index")
	s.disk = d
	if err := d.load(); err != nil {
		_ = d.lock.Close()
		return err
	}
	d.work.Go(d.run)
	return nil
}

// close writes what is to be written, and gives the folder back.
func (d *disk) close() error {
	d.store.mu.Lock()
	d.closed = true
	d.store.mu.Unlock()
	close(d.saves)
	d.work.Wait()
	err := d.index.close()
	if unlock := d.lock.Close(); err == nil {
		err = unlock
	}
	return err
}

func (d *disk) run() {
	for n := 0; ; n++ {
		select {
		case it, more := <-d.saves:
			if !more {
				d.tidy(false)
				return
			}
			d.save(it)
		case <-d.kick:
		}
		if len(d.saves) == 0 || n%maxBatch == 0 {
			d.tidy(false)
		}
	}
}

// wake has run look for what there is to do.
func (d *disk) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (d *disk) path(id uint64) string {
	return filepath.Join(d.folder, "bodies", strconv.FormatUint(id, 16))
}

// take makes room for a file of that size, and reports whether there is. What is
// removed while somebody reads it may be an eighth more than the bound. Store.mu
// is held.
func (d *disk) take(size int64) bool {
	limit := d.store.options.DiskBytes - d.index.room()
	for d.bytes+size > limit {
		if !d.evict() {
			return false
		}
	}
	if d.bytes+d.left+size > limit+limit/8 {
		return false
	}
	d.bytes += size
	return true
}

// evict removes an entry from the store, and reports whether there was one on disk.
// Store.mu is held.
func (d *disk) evict() bool {
	if d == nil {
		return false
	}
	n := d.queue.victim()
	if n == nil {
		return false
	}
	d.evictions.Add(1)
	d.store.remove(n.item)
	return true
}

// enqueue has an item written down, if there is room to wait, and reports whether
// it will be. Store.mu is held.
func (d *disk) enqueue(it *item) bool {
	if d.closed || d.pending+it.inMemory > d.store.options.MemoryBytes/4 {
		d.dropped.Add(1)
		return false
	}
	select {
	case d.saves <- it:
		d.pending += it.inMemory
		d.unsaved++
		it.saving = true
		return true
	default:
		d.dropped.Add(1)
		return false
	}
}

// save writes one body down.
func (d *disk) save(it *item) {
	s := d.store
	data := *it.body.data.Load()
	f := &file{size: onDisk(it.body.size), checked: true}
	s.mu.Lock()
	ok := it.current != nil && d.take(f.size)
	d.last++
	f.id = d.last
	s.mu.Unlock()
	var err error
	if ok {
		err = os.WriteFile(d.path(f.id), data, 0o600)
		d.failed(err)
	}
	it.body.sum = crc32.Checksum(data, castagnoli)
	s.mu.Lock()
	defer s.mu.Unlock()
	it.saving = false
	d.pending -= it.inMemory
	d.unsaved--
	if ok && (err != nil || it.current == nil) {
		d.discard(f)
	}
	switch {
	case it.current == nil:
		s.held -= it.inMemory
		return
	case !ok || err != nil:
		d.dropped.Add(1)
	default:
		it.body.file.Store(f)
		d.add(it)
	}
	s.toMemory(it)
	s.fit()
}

// add keeps an item that is there and has a file. Store.mu is held.
func (d *disk) add(it *item) {
	it.disk.item, it.disk.size, it.disk.hash = it, it.body.file.Load().size, it.memory.hash
	d.queue.add(&it.disk)
	d.note(it)
}

// note writes an item's head down. Store.mu is held.
func (d *disk) note(it *item) {
	f := it.body.file.Load()
	if f == nil {
		return
	}
	before := len(d.index.waiting)
	d.index.waiting = appendPut(d.index.waiting, d.stored(it, f))
	n := int64(len(d.index.waiting) - before)
	d.index.live += n - it.record
	it.record = n
	d.index.bound()
	d.wake()
}

func (d *disk) stored(it *item, f *file) stored {
	return stored{id: f.id, sum: it.body.sum, space: it.space.name, key: it.key, entry: it.current}
}

// forget ends what the tier keeps of an item. Store.mu is held.
func (d *disk) forget(it *item) {
	f := it.body.file.Load()
	if f == nil {
		return
	}
	d.queue.remove(&it.disk)
	d.bytes -= f.size
	d.left += f.size
	d.index.live -= it.record
	d.index.waiting = appendDelete(d.index.waiting, f.id)
	d.index.bound()
}

// discard has a file removed that counts in bytes. Store.mu is held.
func (d *disk) discard(f *file) {
	d.bytes -= f.size
	d.left += f.size
	d.leave(f)
}

// leave has the file of an item removed that was forgotten, and that nobody reads
// any more.
func (d *disk) leave(f *file) {
	d.goneMu.Lock()
	d.gone = append(d.gone, f)
	d.goneMu.Unlock()
	d.wake()
}

// tidy removes files and writes the index; if durable, so that it survives a power
// failure.
func (d *disk) tidy(durable bool) {
	s := d.store
	d.goneMu.Lock()
	files := d.gone
	d.gone = nil
	d.goneMu.Unlock()
	gone := int64(0)
	for _, f := range files {
		if err := os.Remove(d.path(f.id)); err != nil && !os.IsNotExist(err) {
			d.failed(err)
		}
		gone += f.size
	}
	s.mu.Lock()
	d.left -= gone
	s.mu.Unlock()
	d.failed(d.flush(durable))
}

// failed counts an error, and says the first of a row.
func (d *disk) failed(err error) {
	if err != nil && d.failures.Add(1)%1000 == 1 {
		d.store.options.Log.Warn("the cache's disk tier", slog.Any("err", err))
	}
}
