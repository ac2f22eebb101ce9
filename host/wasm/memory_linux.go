package wasm

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapRoom reserves memory that nobody can touch before it is opened.
func mapRoom(size uint64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	return unsafe.Slice((*byte)(at), size), nil
}

// openRoom makes a part of it zeros to be read and written.
func openRoom(part []byte) error {
	if len(part) == 0 {
		return nil
	}
	return unix.Mprotect(part, unix.PROT_READ|unix.PROT_WRITE)
}

// unmapRoom gives it back. What it fails with could only be a mistake of ours.
func unmapRoom(room []byte) {
	if err := unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(room)), uintptr(len(room))); err != nil {
		panic(fmt.Errorf("unmap %d bytes: %w", len(room), err))
	}
}

// mapInto lays a private copy of the file, made when it is written to, over the
// beginning of room.
func (f *frozen) mapInto(room []byte) error {
	if len(f.bytes) == 0 {
		return nil
	}
	_, err := unix.MmapPtr(int(f.file.Fd()), 0, unsafe.Pointer(unsafe.SliceData(room)), uintptr(len(f.bytes)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return err
}

// viewFile maps a file to be read.
func viewFile(file *os.File, size uint64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	at, err := unix.MmapPtr(int(file.Fd()), 0, nil, uintptr(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(at), size), nil
}

// freeze writes memory to a file that has no name and that nobody can change any
// more. The file ends with the last page that is not zeros.
func freeze(memory []byte) (frozen, error) {
	fd, err := unix.MemfdCreate("ergo-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return frozen{}, fmt.Errorf("make a memory file: %w", err)
	}
	f := frozen{file: os.NewFile(uintptr(fd), "ergo-image")}
	size, stored, err := writePages(f.file, memory)
	if err == nil {
		_, err = unix.FcntlInt(f.file.Fd(), unix.F_ADD_SEALS,
			unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err == nil {
		f.stored = stored
		f.bytes, err = viewFile(f.file, size)
	}
	if err != nil {
		_ = f.file.Close() // what went wrong before says more
		return frozen{}, fmt.Errorf("write a memory file: %w", err)
	}
	return f, nil
}

// close lets go of the file; what is mapped elsewhere stays.
func (f *frozen) close() error {
	if f.bytes != nil {
		unmapRoom(f.bytes)
	}
	return f.file.Close()
}

// writePages writes the pages that are not zeros.
func writePages(file *os.File, memory []byte) (size uint64, stored int64, err error) {
	page := os.Getpagesize()
	zeros := make([]byte, page)
	for at := 0; at < len(memory); at += page {
		p := memory[at:min(at+page, len(memory))]
		if bytes.Equal(p, zeros[:len(p)]) {
			continue
		}
		if _, err := file.WriteAt(p, int64(at)); err != nil {
			return 0, 0, err
		}
		size, stored = uint64(at+len(p)), stored+int64(len(p))
	}
	return size, stored, nil
}
