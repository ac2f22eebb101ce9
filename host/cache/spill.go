package cache

import (
	"hash"
	"hash/crc32"
	"os"
)

// spill is a body that goes to disk while it is received.
type spill struct {
	disk *disk
	out  *os.File
	file *file
	sum  hash.Hash32
	size int64
}

// newSpill makes a file for a body. Until an index names it, it is nobody's.
func (d *disk) newSpill() (*spill, error) {
	d.store.mu.Lock()
	d.last++
	f := &file{id: d.last, checked: true}
	d.store.mu.Unlock()
	out, err := os.OpenFile(d.path(f.id), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		d.failed(err)
		return nil, err
	}
	return &spill{disk: d, out: out, file: f, sum: crc32.New(castagnoli)}, nil
}

// write adds to the body, within the tier's bound.
func (sp *spill) write(p []byte) error {
	more := onDisk(sp.size+int64(len(p))) - sp.file.size
	if !sp.take(more) {
		sp.disk.tidy(false) // what has been removed may still be there
		if !sp.take(more) {
			return ErrFull
		}
	}
	sp.file.size += more
	n, err := sp.out.Write(p)
	sp.size += int64(n)
	_, _ = sp.sum.Write(p[:n])
	sp.disk.failed(err)
	return err
}

func (sp *spill) take(n int64) bool {
	sp.disk.store.mu.Lock()
	defer sp.disk.store.mu.Unlock()
	return sp.disk.take(n)
}

// close ends writing.
func (sp *spill) close() error {
	err := sp.out.Close()
	sp.disk.failed(err)
	return err
}

// drop removes the file.
func (sp *spill) drop() {
	_ = sp.out.Close()
	s := sp.disk.store
	s.mu.Lock()
	defer s.mu.Unlock()
	sp.disk.discard(sp.file)
}
