package main

import (
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/sdk/go/config"
)

const (
	maxUsers = 100_000
	maxHash  = 256 // longer ones the host refuses
)

// users are the hashes of passwords by names, and all hashes in order.
type users struct {
	hashes map[string]string
	all    []string
}

// readUsers reads the users of the list and of the file, which has the form of
// Apache's htpasswd: a line "name:hash" for each, and comments after "#".
func readUsers(c *config.Object) users {
	u := users{hashes: map[string]string{}}
	for i, line := range c.Texts("users") {
		u.add(c, "users["+strconv.Itoa(i)+"]", line)
	}
	for i, line := range strings.Split(c.Text("htpasswd", ""), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			u.add(c, "htpasswd", line, "line "+strconv.Itoa(i+1)+": ")
		}
	}
	if len(u.all) == 0 || len(u.all) > maxUsers {
		c.Refuse("users", "expected 1 to "+strconv.Itoa(maxUsers)+" users, here or in htpasswd")
	}
	return u
}

func (u *users) add(c *config.Object, key, line string, where ...string) {
	name, hash, _ := strings.Cut(line, ":")
	_, twice := u.hashes[name]
	problem := ""
	switch {
	case !sound(name, maxName):
		problem = "expected name:hash, the name with at most 255 bytes and without control characters"
	case !isHash(hash):
		problem = "expected a hash of bcrypt ($2a$, $2b$, $2y$) or argon2id ($argon2id$v=19$) of at most 256 bytes after the name"
	case twice:
		problem = name + " is there twice"
	default:
		u.hashes[name] = hash
		u.all = append(u.all, hash)
		return
	}
	c.Refuse(key, strings.Join(where, "")+problem)
}

// isHash looks at the form alone: what is in it costs as much to find out as it does
// to compare with it.
func isHash(hash string) bool {
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		if strings.HasPrefix(hash, prefix) && len(hash) == 60 {
			return true
		}
	}
	return strings.HasPrefix(hash, "$argon2id$v=19$m=") && strings.Count(hash, "$") == 5 && len(hash) <= maxHash
}

// hash returns the hash of a user. For a name that is not known it is one of the
// others', always the same for a name, so that its cost is one that users have.
func (u *users) hash(name string) (hash string, known bool) {
	if hash, known = u.hashes[name]; known {
		return hash, true
	}
	sum := uint32(2_166_136_261)
	for i := range len(name) {
		sum = (sum ^ uint32(name[i])) * 16_777_619
	}
	return u.all[sum%uint32(len(u.all))], false
}
