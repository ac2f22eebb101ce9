package httpwasm

import (
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
)

// fieldName is the name of a field that a guest changes.
type fieldName struct {
	text string // valid; the host's own
	role role
}

// role says what a field is to the host.
type role uint8

const (
	ordinary  role = iota
	authority      // the request's, which is no field of its own here
	frames         // it says how a message lies on its connection
)

// nameCache remembers names: guests keep those that they set in one place of their
// memory, and name the same ones for each exchange. Each place holds the last one
// that fell on it.
type nameCache [32]fieldName

// at returns the name in the guest's memory, until the next call. What can't be a
// name traps.
func (c *nameCache) at(mod api.Module, offset, length uint64) *fieldName {
	b := nameIn(mod, offset, length)
	known := &c[(offset^offset>>5^length)%uint64(len(c))]
	if known.text != string(b) {
		*known = nameOf(string(b))
	}
	return known
}

func nameOf(text string) fieldName {
	switch {
	case !exchange.ValidName(text):
		trap("%q can't be a header name", text)
	case strings.EqualFold(text, hostName):
		return fieldName{text, authority}
	case framing(text):
		return fieldName{text, frames}
	}
	return fieldName{text, ordinary}
}

// framing reports whether a field says how a message lies on its connection.
// That is the host's matter: such a field can be read, and a change to it has
// no effect.
func framing(name string) bool {
	switch len(name) {
	case 2:
		return strings.EqualFold(name, "te")
	case 7:
		return strings.EqualFold(name, "trailer") || strings.EqualFold(name, "upgrade")
	case 10:
		return strings.EqualFold(name, "connection") || strings.EqualFold(name, "keep-alive")
	case 14:
		return strings.EqualFold(name, "content-length")
	case 16:
		return strings.EqualFold(name, "proxy-connection")
	case 17:
		return strings.EqualFold(name, "transfer-encoding")
	}
	return false
}
