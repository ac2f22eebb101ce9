package exchange

import (
	"errors"
	"slices"
)

// Property is a value that a policy gives an exchange for those that look at it
// later, policies of any tier and phase. Its text is of the exchange's arena.
type Property struct {
	Name, Value string
	ReadOnly    bool // it is given once
	Text        bool // Value is text, not any bytes
}

// Bounds of an exchange's properties.
const (
	MaxProperties    = 64
	MaxPropertyBytes = 16 << 10 // of all names and values
)

// Reasons for which a property is not set.
var (
	ErrPropertyRoom     = errors.New("properties are larger, or more, than an exchange may have")
	ErrPropertyReadOnly = errors.New("property is given once")
)

// Property returns the value of that name.
func (x *Exchange) Property(name string) (Property, bool) {
	if i := x.findProperty(name); i >= 0 {
		return x.Properties[i], true
	}
	return Property{}, false
}

func (x *Exchange) findProperty(name string) int {
	return slices.IndexFunc(x.Properties, func(p Property) bool { return p.Name == name })
}

// SetProperty gives the exchange a copy of p, in place of one of that name.
func (x *Exchange) SetProperty(p Property) error {
	i := x.findProperty(p.Name)
	if i >= 0 && x.Properties[i].ReadOnly {
		return ErrPropertyReadOnly
	}
	bytes, count := len(p.Name)+len(p.Value), 1
	for j, other := range x.Properties {
		if j != i {
			bytes += len(other.Name) + len(other.Value)
			count++
		}
	}
	if bytes > MaxPropertyBytes || count > MaxProperties {
		return ErrPropertyRoom
	}
	p.Value = x.Arena.Concat(p.Value)
	if i >= 0 {
		p.Name = x.Properties[i].Name
		x.Properties[i] = p
		return nil
	}
	p.Name = x.Arena.Concat(p.Name)
	x.Properties = append(x.Properties, p)
	return nil
}
