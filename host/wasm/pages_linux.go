package wasm

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageTable tells where the pages of this process are (pagemap in proc(5)).
type pageTable struct {
	file *os.File
	page int
}

func openPages() (*pageTable, error) {
	file, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil, err
	}
	return &pageTable{file, os.Getpagesize()}, nil
}

func (t *pageTable) close() error { return t.file.Close() }

// What pagemap says of a page.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61 // such as an image's
)

// own calls each with where those pages of memory begin that nobody shares: what
// is of an image was written to, and what is of none was touched.
func (t *pageTable) own(memory []byte, each func(at int)) error {
	var entries [4096]byte
	first := uintptr(unsafe.Pointer(unsafe.SliceData(memory))) / uintptr(t.page)
	for at := 0; at < len(memory); {
		left := (len(memory) - at + t.page - 1) / t.page * 8
		n, err := unix.Pread(int(t.file.Fd()), entries[:min(left, len(entries))], int64(first)*8+int64(at/t.page*8))
		if err != nil || n < 8 {
			return fmt.Errorf("read pagemap, %d bytes: %w", n, err)
		}
		for e := entries[:n&^7]; len(e) > 0; e = e[8:] {
			entry := binary.NativeEndian.Uint64(e)
			if entry&(pagePresent|pageSwapped) != 0 && entry&pageOfFile == 0 {
				each(at)
			}
			at += t.page
		}
	}
	return nil
}
