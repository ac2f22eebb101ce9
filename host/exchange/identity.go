package exchange

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// Identity is who the client is, as a policy established it for those that come
// later. Its text is of the exchange's arena. The zero value is nobody.
type Identity struct {
	Subject    string      // whom: a user, a service; never empty if there is anybody
	Method     string      // name of the policy that established it
	Attributes []Attribute // what else is known, in the order it was said; each name once
}

// Attribute is something known of a client, such as its groups.
type Attribute struct{ Name, Value string }

// Bounds of an identity. Text is valid UTF-8 without control characters.
const (
	MaxSubjectBytes        = 1 << 10
	MaxAttributes          = 32
	MaxAttributeNameBytes  = 64
	MaxAttributeValueBytes = 2 << 10
	MaxIdentityBytes       = 8 << 10 // of all attributes together
)

// Reasons for which an identity does not become what it was to be.
var (
	ErrIdentityText = errors.New("text of an identity is empty, too long, or not text")
	ErrIdentityRoom = errors.New("attributes are larger, or more, than an identity may have")
	ErrNobody       = errors.New("there is nobody to have attributes")
)

// Identify makes the client subject, without attributes, as the policy named
// method has established it.
func (x *Exchange) Identify(subject, method string) error {
	if !isIdentityText(subject, MaxSubjectBytes) {
		return ErrIdentityText
	}
	x.Identity.Reset()
	x.Identity.Subject, x.Identity.Method = x.Arena.Concat(subject), method
	return nil
}

// AddAttribute says more of the identity that there is, in place of what was
// said by that name. The value may be empty.
func (x *Exchange) AddAttribute(name, value string) error {
	i := &x.Identity
	switch {
	case !isIdentityText(name, MaxAttributeNameBytes), value != "" && !isIdentityText(value, MaxAttributeValueBytes):
		return ErrIdentityText
	case i.Subject == "":
		return ErrNobody
	}
	at, bytes := i.find(name), len(name)+len(value)
	for j, other := range i.Attributes {
		if j != at {
			bytes += len(other.Name) + len(other.Value)
		}
	}
	if bytes > MaxIdentityBytes || at < 0 && len(i.Attributes) == MaxAttributes {
		return ErrIdentityRoom
	}
	if value = x.Arena.Concat(value); at >= 0 {
		i.Attributes[at].Value = value
		return nil
	}
	i.Attributes = append(i.Attributes, Attribute{x.Arena.Concat(name), value})
	return nil
}

// Attribute returns the value of that name.
func (i *Identity) Attribute(name string) (value string, ok bool) {
	if at := i.find(name); at >= 0 {
		return i.Attributes[at].Value, true
	}
	return "", false
}

func (i *Identity) find(name string) int {
	return slices.IndexFunc(i.Attributes, func(a Attribute) bool { return a.Name == name })
}

// CopyFrom makes i what other is, with memory of its own for the attributes.
func (i *Identity) CopyFrom(other *Identity) {
	i.Subject, i.Method = other.Subject, other.Method
	i.Attributes = append(i.Attributes[:0], other.Attributes...)
}

// Reset makes i nobody, with the memory that it has.
func (i *Identity) Reset() {
	clear(i.Attributes)
	*i = Identity{Attributes: i.Attributes[:0]}
}

// isIdentityText reports whether s may stand in an identity: it goes into logs,
// and from policies into fields.
func isIdentityText(s string, max int) bool {
	if s == "" || len(s) > max || !utf8.ValidString(s) {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
