package main

import (
	"fmt"
	"syscall"
)

// raiseFileLimit lets this process and those that it starts open at least so many files.
func raiseFileLimit(files int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if want := uint64(files); limit.Max < want {
		limit.Max = want // only the superuser may
	}
	limit.Cur = limit.Max
	// Set here, and not left to Go's runtime, the limit is the children's too.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("open %d files: %w: raise the limit (ulimit -Hn %d), or say -idle with fewer", files, err, files)
	}
	return nil
}
