//go:build !unix

package disk

import "os"

// lockFolder opens the file; there is no lock that ends with the process here.
func lockFolder(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
