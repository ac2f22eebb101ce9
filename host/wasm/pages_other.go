//go:build !linux

package wasm

import "errors"

// pageTable tells nothing here.
type pageTable struct{ page int }

func openPages() (*pageTable, error) { return nil, errors.ErrUnsupported }

func (*pageTable) close() error { return nil }

func (*pageTable) own([]byte, func(int)) error { return errors.ErrUnsupported }
