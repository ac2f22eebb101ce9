package property

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/ergoproxy/ergo/host/exchange"
)

// statePrefix is what Envoy puts before the names of properties that guests set.
const statePrefix = "wasm."

// Reasons for which a property is not set, besides those of an exchange's own.
var (
	ErrNoExchange = errors.New("there is no exchange to set a property of")
	ErrValue      = errors.New("property cannot have that value")
	ErrDeclared   = errors.New("property has been declared otherwise, or too many have been")
)

// asked are the properties that ask something of the host instead of being kept.
// Higress's guests set them.
var asked = map[string]func(a *Asked, value string) error{
	// A route is chosen when the request goes on; nothing of it is cached before.
	"clear_route_cache":        func(*Asked, string) error { return nil },
	"wasm_need_rebuild":        func(a *Asked, value string) error { a.Rebuild = value == "true"; return nil },
	"set_decoder_buffer_limit": func(a *Asked, value string) error { return bytesOf(&a.RequestBody, value) },
	"set_encoder_buffer_limit": func(a *Asked, value string) error { return bytesOf(&a.ResponseBody, value) },
}

func bytesOf(n *int64, value string) error {
	asked, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return ErrValue
	}
	*n = int64(asked)
	return nil
}

// Set leaves a value for policies that come later, at a path as Find has it. What is
// said by the host can't be set: it stays what it is.
func Set(path, value string, s *Source) error {
	path = strings.TrimSuffix(path, "\x00")
	if ask := asked[path]; ask != nil {
		return ask(&s.Asked, value)
	}
	return setState(statePrefix+path, value, s.Plugin.declared(path), s)
}

// SetState leaves a value under the name that filter_state has it by.
func SetState(name, value string, s *Source) error {
	return setState(name, value, Declaration{}, s)
}

func setState(name, value string, d Declaration, s *Source) error {
	if s.Exchange == nil {
		return ErrNoExchange
	}
	return s.Exchange.SetProperty(exchange.Property{Name: name, Value: value, ReadOnly: d.ReadOnly, Text: d.Text})
}

// stored finds what Set or SetState left.
func stored(name string, s *Source) (Value, bool) {
	if s.Exchange == nil {
		return Value{}, false
	}
	p, ok := s.Exchange.Property(name)
	if !ok {
		return Value{}, false
	}
	v := Value{kind: Bytes, text: p.Value}
	if p.Text {
		v.kind = Text
	}
	return v, true
}

// Plugin is what a guest is. It is safe for concurrent use once it is filled in.
type Plugin struct {
	Name   string
	RootID string
	VMID   string

	mu           sync.Mutex
	declarations map[string]Declaration
}

// Declaration says of what kind a property is that the plugin will set.
type Declaration struct {
	ReadOnly bool
	Text     bool // not any bytes
}

// Bounds of what a plugin declares.
const (
	maxDeclared = 128
	maxPath     = 1 << 10
)

// Declare says of what kind the property at path will be. Every instance of the
// plugin may say the same.
func (p *Plugin) Declare(path string, d Declaration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, again := p.declarations[path]; again {
		if before != d {
			return ErrDeclared
		}
		return nil
	}
	if len(p.declarations) == maxDeclared || len(path) > maxPath {
		return ErrDeclared
	}
	if p.declarations == nil {
		p.declarations = make(map[string]Declaration)
	}
	p.declarations[strings.Clone(path)] = d
	return nil
}

func (p *Plugin) declared(path string) Declaration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.declarations[path]
}
