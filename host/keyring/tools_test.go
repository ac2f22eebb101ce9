//go:build wycheproof

package keyring

import _ "github.com/c2sp/wycheproof" // for its files: see vectors_test.go
