//go:build !linux

package wasm

import "errors"

// mapRoom has no way to do so here: memory is on the heap, and nothing is cloned.
func mapRoom(uint64) ([]byte, error) { return nil, errors.ErrUnsupported }

func openRoom([]byte) error { return errors.ErrUnsupported }

func unmapRoom([]byte) {}

func freeze([]byte) (frozen, error) { return frozen{}, errors.ErrUnsupported }

func (*frozen) mapInto([]byte) error { return errors.ErrUnsupported }

func (*frozen) close() error { return nil }
