package keyring

import (
	"strings"
	"testing"
)

// Hashes of "correct horse", by htpasswd -B, argon2(1) and the like.
const (
	bcryptHash = "$2a$04$EjH64Cw6SIFwXCBDmdGx..GbG.3JFwfXE.4oURH0VWZttj4q.2OXq"
	argonHash  = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$rAjuexKlLdAHLvqk7TeeiWZjW4OPoRGwldJXdHbTuKI"
)

func TestPasswords(t *testing.T) {
	g := NewGrant(nil, NewGate())
	for _, c := range []struct {
		hash, password string
		want           error
	}{
		{bcryptHash, "correct horse", nil},
		{strings.Replace(bcryptHash, "$2a$", "$2y$", 1), "correct horse", nil},
		{bcryptHash, "correct", ErrMismatch},
		{bcryptHash, "", ErrMismatch},
		{bcryptHash, "correct horse" + strings.Repeat(" ", 72), ErrMismatch},
		{argonHash, "correct horse", nil},
		{argonHash, "correct horsf", ErrMismatch},
		{argonHash, strings.Repeat("p", MaxPassword+1), ErrMalformed},
		{"", "", ErrMalformed},
		{"correct horse", "correct horse", ErrMalformed},
		{"$1$abc$def", "", ErrMalformed},
		{"$2x$" + bcryptHash[4:], "correct horse", ErrMalformed},
		{"$2a$15$" + bcryptHash[7:], "correct horse", ErrMalformed},
		{"$2a$31$" + bcryptHash[7:], "correct horse", ErrMalformed},
		{"$2a$04$", "correct horse", ErrMalformed},
		{bcryptHash + "a", "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "argon2id", "argon2i", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "v=19", "v=16", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "m=64,", "m=131073,", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "m=64,", "m=4294967360,", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "m=64,", "m=7,", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "m=64,", "m=064,", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "m=64,t=1", "m=131072,t=9", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "t=1", "t=0", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "t=1", "t=11", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "p=1", "p=17", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "t=1", "t=+1", 1), "correct horse", ErrMalformed},
		{strings.Replace(argonHash, "m=64,t=1", "t=1,m=64", 1), "correct horse", ErrMalformed},
		{argonHash + "=", "correct horse", ErrMalformed},
		{argonHash + "$", "correct horse", ErrMalformed},
		{argonHash[:len(argonHash)-40], "correct horse", ErrMalformed},
	} {
		is(t, c.hash+" for "+c.password, g.VerifyPassword(soon(t), []byte(c.hash), []byte(c.password)), c.want)
	}
}

func FuzzHash(f *testing.F) {
	for _, hash := range []string{bcryptHash, argonHash, "", "$2a$", "$argon2id$v=19$m=1,t=1,p=1$$", "$argon2id$v=19$" + strings.Repeat("$", 99)} {
		f.Add([]byte(hash))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, ok := parseHash(text)
		if ok && (h.memory > maxArgonMemory<<10 || h.memory <= 0 || h.matches == nil) {
			t.Errorf("%q takes %d bytes", text, h.memory)
		}
	})
}
