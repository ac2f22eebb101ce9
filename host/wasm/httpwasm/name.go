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
// memory, and name the same ones for each exchange. A name has a few places by
// where it lies there; if others have them all, the first one yields.
type nameCache [nameSets][nameWays]fieldName

const (
	nameSets = 16
	nameWays = 4
)

// at returns the name in the guest's memory, until the next call. What can't be a
// name traps.
func (c *nameCache) at(mod api.Module, offset, length uint64) *fieldName {
	b := nameIn(mod, offset, length)
	places := &c[uint32(offset)*0x9e3779b1>>16%nameSets]
	free := &places[0]
	for i := range places {
		if known := &places[i]; known.text == string(b) {
			return known
		} else if known.text == "" {
			free = known
			break
		}
	}
	*free = nameOf(string(b))
	return free
}

func nameOf(text string) fieldName {
	switch {
	case !exchange.ValidName(text):
		trap("%q can't be a header name", text)
	case strings.EqualFold(text, hostName):
		return fieldName{text, authority}
	case exchange.FramesMessage(text):
		return fieldName{text, frames}
	}
	return fieldName{text, ordinary}
}
