package cache

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// index is the file of records, to which changes are appended, and which is
// written anew when half of it is old.
type index struct {
	path  string
	bytes atomic.Int64

	// Store.mu guards these.
	waiting []byte // records to be written
	live    int64  // bytes of records that are not old
	lost    bool   // there were too many to wait

	mu     sync.Mutex // guards what follows, and is taken before Store.mu
	file   *os.File
	broken bool // what was written last may be torn
	loose  bool // a power failure may take what was written last
	retry  time.Time
}

const (
	indexMagic = "ergo cache 1\n"
	// indexSlack is what may be old in any case.
	indexSlack = 512 << 10
	// maxWaiting bounds records that a disk does not take; then the index is broken.
	maxWaiting = 8 << 20
	indexPause = time.Second
)

func (x *index) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.file == nil {
		return nil
	}
	return x.file.Close()
}

// room is what the index takes at most: as much old as live and the slack, and once
// more what is live while it is written anew. Store.mu is held.
func (x *index) room() int64 { return 3*x.live + indexSlack }

// bound drops records that a disk does not take. Store.mu is held.
func (x *index) bound() {
	if len(x.waiting) > maxWaiting {
		x.waiting, x.lost = nil, true
	}
}

// flush writes the records that wait, or the whole index if that is due. If
// durable they are safe from a power failure, too.
func (d *disk) flush(durable bool) error {
	x, s := &d.index, d.store
	x.mu.Lock()
	defer x.mu.Unlock()
	s.mu.Lock()
	records := x.waiting
	x.waiting = nil
	old := x.bytes.Load() + int64(len(records)) - x.live
	due := x.broken || x.lost || x.file == nil || old > x.live+indexSlack
	s.mu.Unlock()
	if due {
		return d.rewrite()
	}
	var err error
	if len(records) > 0 {
		var n int
		n, err = x.file.Write(records)
		x.bytes.Add(int64(n))
		x.loose = true
	}
	if err == nil && durable && x.loose {
		err = x.file.Sync()
		x.loose = err != nil
	}
	x.broken = err != nil
	return err
}

// rewrite writes the index anew. A disk that refuses is asked again after a pause.
// index.mu is held.
func (d *disk) rewrite() error {
	x, s := &d.index, d.store
	if time.Now().Before(x.retry) {
		return nil
	}
	s.mu.Lock()
	x.waiting, x.lost = nil, false
	whole := []byte(indexMagic)
	for _, l := range []*list{&d.queue.main, &d.queue.small} {
		for n := l.first(); n != nil; n = n.next {
			before := len(whole)
			whole = appendPut(whole, d.stored(n.item, n.item.body.file.Load()))
			n.item.record = int64(len(whole) - before)
		}
	}
	x.live = int64(len(whole) - len(indexMagic))
	s.mu.Unlock()
	x.broken, x.retry = true, time.Now().Add(indexPause)
	if err := x.replace(whole); err != nil {
		return err
	}
	x.broken, x.loose, x.retry = false, false, time.Time{}
	return nil
}

// replace makes whole the index. A process that ends meanwhile leaves the old one.
func (x *index) replace(whole []byte) error {
	fresh, err := os.OpenFile(x.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fresh.Write(whole)
	if err == nil {
		err = fresh.Sync()
	}
	if closed := fresh.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if x.file != nil {
		_ = x.file.Close() // an open file can't be replaced everywhere
		x.file = nil
	}
	if err := os.Rename(x.path+".new", x.path); err != nil {
		return err
	}
	x.bytes.Store(int64(len(whole)))
	x.file, err = os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

// load reads what a process before this one has left, and removes what is not
// sound of it. Bodies are not read: they are checked when they are first opened.
func (d *disk) load() error {
	items, err := readIndexFile(d.index.path)
	if err != nil {
		return err
	}
	found, err := d.scan(items)
	if err != nil {
		return err
	}
	s := d.store
	s.mu.Lock()
	for _, p := range found {
		sp := s.space(p.space)
		it := newItem(sp, p.key, p.entry.Size)
		it.body.sum = p.sum
		f := &file{id: p.id, size: onDisk(p.entry.Size)}
		d.bytes += f.size
		s.insert(it, p.entry, f)
	}
	d.take(0)
	s.fit()
	s.mu.Unlock()
	d.tidy(false)
	return nil
}

// readIndexFile returns the entries that an index names, by id, up to the first
// record that is not sound; what follows it is not known to be.
func readIndexFile(path string) (map[uint64]stored, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readIndex(bufio.NewReaderSize(f, 256<<10)), nil
}

func readIndex(r io.Reader) map[uint64]stored {
	magic := make([]byte, len(indexMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != indexMagic {
		return nil
	}
	items := make(map[uint64]stored)
	var buf []byte
	for {
		content, err := readRecord(r, buf)
		if err != nil {
			return items
		}
		buf = content
		d := &decoder{text: string(content[1:])}
		switch content[0] {
		case recordPut:
			p, err := decodeStored(d)
			if err != nil {
				return items
			}
			items[p.id] = p
		case recordDelete:
			delete(items, d.number())
		default:
			return items
		}
	}
}

// scan compares the index with the files there are, removes those that it does not
// name or that are not as long as it says, and returns the entries of the others,
// oldest first.
func (d *disk) scan(items map[uint64]stored) ([]stored, error) {
	folder := filepath.Join(d.folder, "bodies")
	names, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	found := make([]stored, 0, len(items))
	for _, name := range names {
		id, err := strconv.ParseUint(name.Name(), 16, 64)
		if err == nil {
			d.last = max(d.last, id)
			p, known := items[id]
			info, err := name.Info()
			if known && err == nil && info.Mode().IsRegular() && info.Size() == p.entry.Size && name.Name() == strconv.FormatUint(id, 16) {
				found = append(found, p)
				continue
			}
		}
		if err := os.RemoveAll(filepath.Join(folder, name.Name())); err != nil {
			return nil, fmt.Errorf("remove what no index names: %w", err)
		}
	}
	slices.SortFunc(found, func(a, b stored) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return found, nil
}
