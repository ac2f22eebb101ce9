package keyring

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of a password and of what its hash may cost.
const (
	MaxPassword = 1 << 10
	MaxHash     = 256

	maxBcryptCost     = 14      // a second or so
	maxBcryptPassword = 72      // bytes; what comes after them bcrypt does not read
	maxArgonMemory    = 1 << 17 // KiB
	maxArgonTime      = 10
	maxArgonThreads   = 16
	maxArgonEffort    = 1 << 20 // KiB times passes
)

// passwordHash is a password's hash, ready to be compared.
type passwordHash struct {
	memory  int64 // bytes that a comparison takes
	matches func(password []byte) bool
}

// parseHash reads a hash of bcrypt ($2a$, $2b$, $2y$), or of argon2id in PHC form:
// $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func parseHash(text []byte) (passwordHash, bool) {
	if len(text) > MaxHash {
		return passwordHash{}, false
	}
	if fields, ok := bytes.CutPrefix(text, []byte("$argon2id$v=19$")); ok {
		return parseArgon(string(fields))
	}
	return parseBcrypt(text)
}

func parseBcrypt(text []byte) (passwordHash, bool) {
	const length = 60
	if len(text) != length || !bytes.HasPrefix(text, []byte("$2")) || strings.IndexByte("aby", text[2]) < 0 || text[3] != '$' {
		return passwordHash{}, false
	}
	cost, err := bcrypt.Cost(text)
	if err != nil || cost > maxBcryptCost {
		return passwordHash{}, false
	}
	if _, err := bcryptBase64.DecodeString(string(text[7:29])); err != nil {
		return passwordHash{}, false
	}
	return passwordHash{memory: 8 << 10, matches: func(password []byte) bool {
		return len(password) <= maxBcryptPassword && bcrypt.CompareHashAndPassword(text, password) == nil
	}}, true
}

var bcryptBase64 = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)

// argon are the parameters of argon2id (RFC 9106).
type argon struct {
	memory, time, threads uint32
	salt, sum             []byte
}

func parseArgon(text string) (passwordHash, bool) {
	fields := strings.Split(text, "$")
	if len(fields) != 3 {
		return passwordHash{}, false
	}
	a, ok := parseArgonCosts(fields[0])
	strict := base64.RawStdEncoding.Strict()
	var errs [2]error
	a.salt, errs[0] = strict.DecodeString(fields[1])
	a.sum, errs[1] = strict.DecodeString(fields[2])
	if !ok || errs != [2]error{} || len(a.salt) < 8 || len(a.salt) > 64 || len(a.sum) < 16 || len(a.sum) > 64 {
		return passwordHash{}, false
	}
	return passwordHash{memory: int64(a.memory) << 10, matches: a.matches}, true
}

// parseArgonCosts reads "m=65536,t=3,p=4", in that order.
func parseArgonCosts(text string) (a argon, ok bool) {
	costs := strings.Split(text, ",")
	if len(costs) != 3 {
		return a, false
	}
	for i, c := range []struct {
		name     string
		into     *uint32
		min, max uint64
	}{{"m=", &a.memory, 8, maxArgonMemory}, {"t=", &a.time, 1, maxArgonTime}, {"p=", &a.threads, 1, maxArgonThreads}} {
		digits, named := strings.CutPrefix(costs[i], c.name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !named || err != nil || n < c.min || n > c.max || strconv.FormatUint(n, 10) != digits {
			return a, false
		}
		*c.into = uint32(n)
	}
	return a, a.memory >= 8*a.threads && uint64(a.memory)*uint64(a.time) <= maxArgonEffort
}

func (a argon) matches(password []byte) bool {
	sum := argon2.IDKey(password, a.salt, a.time, a.memory, uint8(a.threads), uint32(len(a.sum)))
	return subtle.ConstantTimeCompare(sum, a.sum) == 1
}
