package proxywasm

import (
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// fields is a map of a message as guests see it: its pseudo-header fields, as
// HTTP/2 has them, and then its fields, with names in lower case.
type fields struct {
	header   *exchange.Header
	request  *exchange.Request  // if its pseudo-header fields stand in front
	response *exchange.Response // so too
	trailer  bool
	readOnly bool
}

// Names of pseudo-header fields (RFC 9113, 8.3).
const (
	pseudoMethod    = ":method"
	pseudoScheme    = ":scheme"
	pseudoAuthority = ":authority"
	pseudoPath      = ":path"
	pseudoStatus    = ":status"
)

// append appends all fields in order.
func (m *fields) append(dst []exchange.Field) []exchange.Field {
	if r := m.request; r != nil {
		dst = append(dst, exchange.Field{Name: pseudoAuthority, Value: r.Authority}, exchange.Field{Name: pseudoPath, Value: r.Target},
			exchange.Field{Name: pseudoMethod, Value: r.Method}, exchange.Field{Name: pseudoScheme, Value: r.Scheme})
	}
	if r := m.response; r != nil {
		dst = append(dst, exchange.Field{Name: pseudoStatus, Value: strconv.Itoa(r.Status)})
	}
	for _, f := range m.header.Fields() {
		dst = append(dst, exchange.Field{Name: strings.ToLower(f.Name), Value: f.Value})
	}
	return dst
}

// len returns the number of fields.
func (m *fields) len() int {
	switch {
	case m.request != nil:
		return m.header.Len() + 4
	case m.response != nil:
		return m.header.Len() + 1
	}
	return m.header.Len()
}

// size returns the bytes of all names and values.
func (m *fields) size() int {
	n := 0
	if r := m.request; r != nil {
		n += len(pseudoAuthority) + len(r.Authority) + len(pseudoPath) + len(r.Target) +
			len(pseudoMethod) + len(r.Method) + len(pseudoScheme) + len(r.Scheme)
	}
	if m.response != nil {
		n += len(pseudoStatus) + 3
	}
	for _, f := range m.header.Fields() {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

// get returns the first value of that name.
func (m *fields) get(name string) (value string, ok bool) {
	if place := m.pseudo(name); place != nil {
		return *place, true
	}
	if m.response != nil && name == pseudoStatus {
		return strconv.Itoa(m.response.Status), true
	}
	return m.header.Get(name)
}

// pseudo returns where a pseudo-header field of a request stands. Host is the
// authority by another name.
func (m *fields) pseudo(name string) *string {
	r := m.request
	if r == nil {
		return nil
	}
	switch name {
	case pseudoMethod:
		return &r.Method
	case pseudoScheme:
		return &r.Scheme
	case pseudoPath:
		return &r.Target
	case pseudoAuthority:
		return &r.Authority
	}
	if exchange.EqualFold(name, "host") {
		return &r.Authority
	}
	return nil
}

// set leaves one field of that name. It reports false if name or value can't be
// that of a field, and nothing is changed then.
func (m *fields) set(name, value string) bool { return m.change(name, value, (*exchange.Header).Set) }

// add adds a field, under the same conditions. A pseudo-header field is set.
func (m *fields) add(name, value string) bool { return m.change(name, value, (*exchange.Header).Add) }

func (m *fields) change(name, value string, by func(h *exchange.Header, name, value string)) bool {
	switch special, ok := m.setPseudo(name, value); {
	case special:
		return ok
	case !m.sound(name, value):
		return false
	case m.takes(name):
		by(m.header, name, value)
	}
	return true
}

// remove removes the fields of that name. Pseudo-header fields stay: there is no
// message without them.
func (m *fields) remove(name string) {
	if m.takes(name) && m.pseudo(name) == nil {
		m.header.Del(name)
	}
}

// replace makes list all there is. Pseudo-header fields that it lacks stay as they
// are. Nothing is changed if one of list is not sound.
func (m *fields) replace(list []exchange.Field) bool {
	for _, f := range list {
		if !m.wouldSet(f) {
			return false
		}
	}
	kept := m.header.Fields()
	var framing []exchange.Field
	for _, f := range kept {
		if !m.takes(f.Name) {
			framing = append(framing, f)
		}
	}
	m.header.Reset()
	for _, f := range framing {
		m.header.Add(f.Name, f.Value)
	}
	for _, f := range list {
		m.add(f.Name, f.Value)
	}
	return true
}

// wouldSet reports whether add would accept a field.
func (m *fields) wouldSet(f exchange.Field) bool {
	request, response := m.request, m.response
	trial := fields{header: m.header, trailer: m.trailer}
	if request != nil {
		line := *request // the pseudo-header fields are changed in a copy
		trial.request = &line
	}
	if response != nil {
		trial.response = &exchange.Response{Tunnel: response.Tunnel}
	}
	if special, ok := trial.setPseudo(f.Name, f.Value); special {
		return ok
	}
	return m.sound(f.Name, f.Value)
}

// setPseudo sets what stands in front of the fields; special is false for an
// ordinary field.
func (m *fields) setPseudo(name, value string) (special, ok bool) {
	if m.response != nil && name == pseudoStatus {
		if m.response.Tunnel != nil {
			return true, true // without effect: the client has a tunnel, or nothing
		}
		status, err := strconv.Atoi(value)
		if err != nil || len(value) != 3 || status < 200 || status > 599 {
			return true, false
		}
		m.response.Status = status
		return true, true
	}
	place := m.pseudo(name)
	if place == nil {
		return false, false
	}
	switch place {
	case &m.request.Method:
		ok = exchange.ValidName(value) && value != "CONNECT"
	case &m.request.Scheme:
		ok = value == "http" || value == "https"
	case &m.request.Target:
		ok = exchange.ValidTarget(m.request.Method, value)
	case &m.request.Authority:
		ok = exchange.ValidAuthority(value)
	}
	if ok {
		*place = value
	}
	return true, ok
}

func (m *fields) sound(name, value string) bool {
	return exchange.ValidName(name) && exchange.ValidValue(value)
}

// takes reports whether a change to a field has an effect. How a message lies on
// its connection is the host's matter; how long its body is, the guest may say.
func (m *fields) takes(name string) bool {
	if m.trailer {
		return exchange.TrailerAllowed(name)
	}
	return exchange.EqualFold(name, "content-length") || !exchange.FramesMessage(name)
}
