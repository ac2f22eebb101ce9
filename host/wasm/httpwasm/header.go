package httpwasm

import (
	"context"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Bounds on what a guest can make an exchange grow by. They count what the guest
// sets and adds and not what is there: otherwise a client with many fields could
// make any policy trap.
const (
	maxFields     = 1024
	maxFieldBytes = 1 << 20 // of all names and values
	maxNameBytes  = 1 << 10
	maxValueBytes = 64 << 10
)

// fewFields is up to how many each name is compared with all others, which needs
// no memory.
const fewFields = 64

// hostName stands for the request's authority, which is no field of its own
// here.
const hostName = "host"

// fieldsOf returns the fields of a kind, to be read. Without feature trailers
// there are no trailers.
func (s *session) fieldsOf(kind uint32) *exchange.Header {
	switch kind {
	case requestFields:
		return &s.x.Request.Header
	case responseFields:
		return s.responseFields()
	case requestTrailers:
		if s.features&trailers != 0 {
			return &s.x.Request.Trailer
		}
	case responseTrailers:
		if s.features&trailers != 0 && s.phase != requestPhase {
			return &s.x.Response.Trailer
		}
	default:
		trap("there is no header kind %d", kind)
	}
	return &exchange.Header{}
}

// responseFields are those of the response, or, while there is none, those
// that it will begin with.
func (s *session) responseFields() *exchange.Header {
	if s.phase == requestPhase {
		return &s.fields
	}
	return &s.x.Response.Header
}

// getHeaderNames gives the names in lower case, each once and followed by NUL.
func getHeaderNames(ctx context.Context, mod api.Module, stack []uint64) {
	s := sessionOf(ctx)
	kind := uint32(stack[0])
	fields := s.fieldsOf(kind).Fields()
	first := isFirst
	if len(fields) > fewFields {
		first = firstOfMany(fields)
	}
	names, length := 0, 0
	withHost := kind == requestFields && s.x.Request.Authority != ""
	if withHost {
		names, length = 1, len(hostName)+1
	}
	for i := range fields {
		if first(fields, i) {
			names++
			length += len(fields[i].Name) + 1
		}
	}
	if uint64(length) <= uint64(uint32(stack[2])) {
		writeNames(view(mod, stack[1], uint64(length)), fields, withHost, first)
	}
	stack[0] = count(names, length)
}

// writeNames fills to, which is just large enough.
func writeNames(to []byte, fields []exchange.Field, withHost bool, first func([]exchange.Field, int) bool) {
	if withHost {
		to = to[copyTerminated(to, hostName):]
	}
	for i := range fields {
		if !first(fields, i) {
			continue
		}
		n := copyTerminated(to, fields[i].Name)
		for j := range to[:n] {
			to[j] = lower(to[j])
		}
		to = to[n:]
	}
}

// isFirst reports whether no field before i has the same name.
func isFirst(fields []exchange.Field, i int) bool {
	for j := range i {
		if len(fields[j].Name) == len(fields[i].Name) && strings.EqualFold(fields[j].Name, fields[i].Name) {
			return false
		}
	}
	return true
}

// firstOfMany is isFirst in time linear in the fields, of which a client may send
// thousands.
func firstOfMany(fields []exchange.Field) func([]exchange.Field, int) bool {
	places := make(map[string]int, len(fields))
	for i := range fields {
		name := strings.ToLower(fields[i].Name)
		if _, known := places[name]; !known {
			places[name] = i
		}
	}
	return func(fields []exchange.Field, i int) bool { return places[strings.ToLower(fields[i].Name)] == i }
}

func copyTerminated(to []byte, value string) int {
	n := copy(to, value)
	to[n] = 0
	return n + 1
}

// getHeaderValues gives the values of one name, each followed by NUL.
func getHeaderValues(ctx context.Context, mod api.Module, stack []uint64) {
	s := sessionOf(ctx)
	kind := uint32(stack[0])
	name := nameIn(mod, stack[1], stack[2])
	fields := s.fieldsOf(kind).Fields()
	if kind == requestFields && equalFold(hostName, name) {
		fields = s.hostField()
	}
	values, length := 0, 0
	for i := range fields {
		if equalFold(fields[i].Name, name) {
			values++
			length += len(fields[i].Value) + 1
		}
	}
	if uint64(length) <= uint64(uint32(stack[4])) {
		to := view(mod, stack[3], uint64(length))
		// Where the result lies over the name, the name is gone as it is written.
		first := firstOf(fields, name)
		for i := first; i < len(fields); i++ {
			if strings.EqualFold(fields[i].Name, fields[first].Name) {
				to = to[copyTerminated(to, fields[i].Value):]
			}
		}
	}
	stack[0] = count(values, length)
}

// firstOf returns the place of the first field of that name, len(fields) if
// there is none.
func firstOf(fields []exchange.Field, name []byte) int {
	for i := range fields {
		if equalFold(fields[i].Name, name) {
			return i
		}
	}
	return len(fields)
}

// hostField is the request's authority in the form of a field.
func (s *session) hostField() []exchange.Field {
	if s.x.Request.Authority == "" {
		return nil
	}
	g := s.guest
	g.host[0] = exchange.Field{Name: hostName, Value: s.x.Request.Authority}
	return g.host[:]
}

// nameIn returns the bytes of a field's name; an empty or endless one traps.
func nameIn(mod api.Module, offset, length uint64) []byte {
	switch n := uint32(length); {
	case n == 0:
		trap("a header name can't be empty")
	case n > maxNameBytes:
		trap("a header name can't have more than %d bytes", maxNameBytes)
	}
	return view(mod, offset, length)
}

func setHeaderValue(ctx context.Context, mod api.Module, stack []uint64) {
	change(ctx, mod, stack, set, view(mod, stack[3], stack[4]))
}

func addHeaderValue(ctx context.Context, mod api.Module, stack []uint64) {
	change(ctx, mod, stack, add, view(mod, stack[3], stack[4]))
}

func removeHeader(ctx context.Context, mod api.Module, stack []uint64) {
	change(ctx, mod, stack, remove, nil)
}

func change(ctx context.Context, mod api.Module, stack []uint64, op operation, value []byte) {
	s := sessionOf(ctx)
	name := s.guest.names.at(mod, stack[1], stack[2])
	text := ""
	if op != remove {
		text = s.valueOf(name.text, value)
	}
	s.change(uint32(stack[0]), op, name, text)
}

// valueOf returns a field's value, of the exchange's own.
func (s *session) valueOf(name string, value []byte) string {
	if len(value) > maxValueBytes {
		trap("the value of %s has more than %d bytes", name, maxValueBytes)
	}
	value = trimSpace(value)
	s.grow(len(name) + len(value))
	text := s.x.Arena.String(value)
	if !exchange.ValidValue(text) {
		trap("the value of %s has a control character", name)
	}
	return text
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// grow counts a field that the guest sets or adds, and traps past the bounds.
func (s *session) grow(bytes int) {
	s.grownFields++
	s.grownBytes += bytes
	if s.grownFields > maxFields || s.grownBytes > maxFieldBytes {
		trap("a policy can't set more than %d fields and %d bytes of them in an exchange", maxFields, maxFieldBytes)
	}
}

// text returns what a guest set but for fields. It is the exchange's own as long
// as that is not made to grow without end.
func (s *session) text(b []byte) string {
	if s.grownBytes+len(b) > maxFieldBytes {
		return string(b)
	}
	s.grownBytes += len(b)
	return s.x.Arena.String(b)
}

func (s *session) change(kind uint32, op operation, name *fieldName, value string) {
	switch kind {
	case requestFields:
		s.mustNotHavePassed("request's header")
		if name.role == authority {
			s.setAuthority(op, value)
			return
		}
		changeField(&s.x.Request.Header, op, name, value)
	case responseFields:
		changeField(s.responseFields(), op, name, value)
	case requestTrailers:
		s.mustNotHavePassed("request's trailer")
		s.editTrailer(0, op, name.text, value)
	case responseTrailers:
		s.editTrailer(1, op, name.text, value)
	default:
		trap("there is no header kind %d", kind)
	}
}

// setAuthority changes the authority. A request without one can't be sent, so
// it can't be removed.
func (s *session) setAuthority(op operation, value string) {
	if op == remove {
		return
	}
	if !exchange.ValidAuthority(value) {
		trap("%q can't be a request's host", value)
	}
	s.x.Request.Authority = value
}

func changeField(h *exchange.Header, op operation, name *fieldName, value string) {
	if name.role != frames {
		op.apply(h, name.text, value)
	}
}
