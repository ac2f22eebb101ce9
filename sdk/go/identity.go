package guest

import "errors"

// ErrNobody says that a client has no attributes before it is somebody.
var ErrNobody = errors.New("nobody was identified")

// Subject returns who the client is, as a policy before this one has established
// it; "" for nobody. This and the other functions that ask need the grant
// ergo_identity.
func Subject() string { return string(read(getSubject)) }

// IdentifiedBy returns the name of the policy that established who the client is.
func IdentifiedBy() string { return string(read(getIdentifier)) }

// Attribute returns what else is known of the client by that name.
func Attribute(name string) (value string, found bool) {
	return readFound(func(buf []byte) uint32 { return getAttribute(name, buf) })
}

// AttributeNames returns the names that something is known by, in the order in
// which it was said.
func AttributeNames() []string { return readList(getAttributeNames) }

// Identify establishes who the client is, for the policies that come later and the
// access log; what was known before is gone. The text, of at most 1 KiB, has no
// control characters. This and the other functions that say needs the grant
// ergo_identify, and works in the request phase only.
func Identify(subject string) error { return identityError(identify(subject)) }

// SetAttribute says more of who was identified, such as a group, in place of what
// was said by that name. Names have at most 64 bytes, values 2 KiB; there are at
// most 32.
func SetAttribute(name, value string) error { return identityError(setAttribute(name, value)) }

// Forget makes the client nobody again.
func Forget() error { return identityError(forget()) }

func identityError(status uint32) error {
	switch status {
	case 0:
		return nil
	case 1:
		return ErrNobody
	case 3:
		return ErrTooLate
	case 11:
		return ErrNoRoom
	}
	return ErrBadArgument
}
