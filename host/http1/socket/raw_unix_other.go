//go:build unix && (!linux || race)

// The race detector sees the order of these calls, as it does not of others: builds
// with it use them on all systems.

package socket

import "syscall"

func sysRead(fd uintptr, p []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), p)
	return max(n, 0), errnoOf(err)
}

// joined is up to what size a head and a body are copied, to be written at once.
const joined = 16 << 10

// sysWrite writes what it can of a, and then of b.
func sysWrite(fd uintptr, a, b []byte) (int, syscall.Errno) {
	if len(b) > 0 && len(a)+len(b) <= joined {
		both := append(append(make([]byte, 0, len(a)+len(b)), a...), b...)
		n, err := syscall.Write(int(fd), both)
		return max(n, 0), errnoOf(err)
	}
	n, err := syscall.Write(int(fd), a)
	if n == len(a) && err == nil && len(b) > 0 {
		var m int
		if m, err = syscall.Write(int(fd), b); err != nil {
			return n, 0 // what was written counts; the next call tells why
		}
		n += m
	}
	return max(n, 0), errnoOf(err)
}

// sysPeek reports how many bytes wait, as far as one.
func sysPeek(fd uintptr) (int, syscall.Errno) {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return max(n, 0), errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return 0
}
