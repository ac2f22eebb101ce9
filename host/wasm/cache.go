package wasm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tetratelabs/wazero"
)

// openCache opens the compilation cache in dir, which is made if it is missing;
// with an empty dir the cache is in memory.
func openCache(dir string) (wazero.CompilationCache, error) {
	if dir == "" {
		return wazero.NewCompilationCache(), nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make compilation cache: %w", err)
	}
	if err := checkPrivate(dir); err != nil {
		return nil, fmt.Errorf("compilation cache %s: %w", dir, err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open compilation cache: %w", err)
	}
	return cache, nil
}

var errSymlink = errors.New("is a symbolic link, which somebody else may turn: name the folder itself")

// checkPrivate refuses a folder that another user could have put code into.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return errSymlink
	case !info.IsDir():
		return errors.New("is not a folder")
	}
	return checkOwner(info)
}
