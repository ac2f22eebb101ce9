package cache

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
)

// body is an entry's bytes: in memory, on disk, or in both.
type body struct {
	size int64
	sum  uint32 // CRC-32C; set before file is
	data atomic.Pointer[[]byte]
	file atomic.Pointer[file]
	// refs are the store's one and those of Sets and Sections: the last takes the file
	// away.
	refs atomic.Int64
}

func (b *body) release(d *disk) {
	if b.refs.Add(-1) > 0 || d == nil {
		return
	}
	if f := b.file.Load(); f != nil {
		d.leave(f)
	}
}

// Open returns length bytes of the body from offset on, fewer if it ends before;
// a negative length is all of them. It is what counts as a use of the entry: of a
// response that is used without its body, open 0 bytes. The caller closes what it
// gets; it stays whole when the entry is removed.
//
// A body in memory comes as an exchange.Buffered, which copies nothing. One on disk
// comes into memory for this and later uses if it is small, else as a Section. It
// is compared with its checksum when it is read the first time; then Open waits for
// all of it. An entry whose body can't be read, or is not what was stored, is
// removed, and Open returns ErrDamaged.
func (e *Entry) Open(offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || offset > e.Size {
		return nil, ErrArgument
	}
	if length < 0 || length > e.Size-offset {
		length = e.Size - offset
	}
	it := e.item
	s := it.space.store
	it.memory.use()
	it.disk.use()
	if data := it.body.data.Load(); data != nil {
		s.counts.memoryHits.Add(1)
		return exchange.NewBuffered((*data)[offset : offset+length]), nil
	}
	s.disk.hits.Add(1)
	r, err := s.disk.open(it, offset, length)
	if err != nil {
		s.disk.lose(it, err)
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

func (d *disk) open(it *item, offset, length int64) (io.ReadCloser, error) {
	f := it.body.file.Load()
	if length == 0 {
		return exchange.NewBuffered(nil), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if data := it.body.data.Load(); data != nil { // another one was faster
		return exchange.NewBuffered((*data)[offset : offset+length]), nil
	}
	opened, err := os.Open(d.path(f.id))
	if err != nil {
		return nil, err
	}
	if it.body.size < d.store.large {
		defer opened.Close()
		return d.read(it, opened, offset, length)
	}
	if !f.checked {
		if err := it.body.check(opened); err != nil {
			_ = opened.Close()
			return nil, err
		}
		f.checked = true
	}
	if _, err := opened.Seek(offset, io.SeekStart); err != nil {
		_ = opened.Close()
		return nil, err
	}
	it.body.refs.Add(1)
	return &Section{file: opened, left: length, body: &it.body, disk: d}, nil
}

// check compares all of a file with the body's checksum.
func (b *body) check(r io.Reader) error {
	sum := crc32.New(castagnoli)
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	if err == nil && (n != b.size || sum.Sum32() != b.sum) {
		err = errChecksum
	}
	return err
}

// read brings a body into memory.
func (d *disk) read(it *item, r io.Reader, offset, length int64) (io.ReadCloser, error) {
	data := make([]byte, it.body.size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	if crc32.Checksum(data, castagnoli) != it.body.sum {
		return nil, errChecksum
	}
	s := d.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.current != nil {
		it.body.data.Store(&data)
		it.inMemory = int64(cap(data))
		s.held += it.inMemory
		s.toMemory(it)
		s.fit()
	}
	return exchange.NewBuffered(data[offset : offset+length]), nil
}

// lose removes an entry whose body is not there.
func (d *disk) lose(it *item, err error) {
	d.damaged.Add(1)
	d.failed(fmt.Errorf("read the body of %q: %w", it.key, err))
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	if it.current != nil {
		d.store.remove(it)
	}
}

// Section is a part of a body on disk. It is not safe for concurrent use.
type Section struct {
	file *os.File
	left int64
	body *body
	disk *disk
}

// Read follows io.Reader.
func (s *Section) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	n, err := s.file.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, short(err, s.left)
}

// File follows http1.OnFile.
func (s *Section) File() (f *os.File, n int64) { return s.file, s.left }

// Sent follows http1.OnFile.
func (s *Section) Sent(n int64) { s.left -= n }

// WriteTo writes what is left. A connection that reads from files by itself has
// the kernel move the bytes.
func (s *Section) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, &io.LimitedReader{R: s.file, N: s.left})
	s.left -= n
	if err == nil && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// short makes the end of a file that comes too early an error.
func short(err error, left int64) error {
	if err == io.EOF && left > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close gives the body back.
func (s *Section) Close() error {
	if s.body == nil {
		return nil
	}
	s.body.release(s.disk)
	s.body = nil
	return s.file.Close()
}
