package guest

import (
	"errors"
	"strings"
)

// Why a call has no response.
var (
	ErrNotGranted = errors.New("the manifest does not grant the host, the upstream or the method")
	ErrAddress    = errors.New("the host's address is a special one, which the manifest does not grant")
	ErrTimeout    = errors.New("there was no whole response in time")
	ErrTooLarge   = errors.New("the request or the response is too large")
	ErrBusy       = errors.New("too many calls are under way")
	ErrFailed     = errors.New("the host was not reached, or broke off")
	ErrPending    = errors.New("the response is still to come")
)

// Call is what a policy asks another host. Like all functions of ergo_http it
// needs the grant of that name, and [policy.NAME.http] in the manifest says what
// may be called.
type Call struct {
	Method    string   // "" is GET
	URL       string   // "https://host/path", "http://host:port/path" or "upstream://name/path"
	Fields    []string // name and value by turns
	Body      []byte
	TimeoutMS int // 0, or more than the manifest's: the manifest's
}

// Answered is the response to a call.
type Answered struct {
	Status  int
	Body    []byte
	header  []string
	trailer []string
}

// Values returns every value of a header field, in order.
func (a *Answered) Values(name string) []string { return valuesOf(a.header, name) }

// Trailer returns every value of a trailer field, in order.
func (a *Answered) Trailer(name string) []string { return valuesOf(a.trailer, name) }

func valuesOf(list []string, name string) []string {
	var values []string
	for i := 0; i+1 < len(list); i += 2 {
		if strings.EqualFold(list[i], name) {
			values = append(values, list[i+1])
		}
	}
	return values
}

// Fetch makes a call and waits for its response, whatever its status. Redirects
// are not followed.
func Fetch(c Call) (Answered, error) {
	p, err := Begin(c)
	if err != nil {
		return Answered{}, err
	}
	defer p.Close()
	return p.Await(-1)
}

// Pending is a call that has begun. Several can be under way, at most 16.
type Pending struct{ handle uint32 }

// Begin begins a call and does not wait. Close ends it; it also ends with the
// exchange.
func Begin(c Call) (Pending, error) {
	method, fields, err := c.parts()
	if err != nil {
		return Pending{}, err
	}
	handle, status := startCall(method, c.URL, fields, c.Body, uint32(c.TimeoutMS))
	return Pending{handle}, callError(status)
}

// Send makes a call for nobody: it outlives the exchange, and what is answered is
// dropped.
func Send(c Call) error {
	method, fields, err := c.parts()
	if err != nil {
		return err
	}
	return callError(sendCall(method, c.URL, fields, c.Body, uint32(c.TimeoutMS)))
}

// parts are method and fields as the host reads them.
func (c *Call) parts() (method, fields string, err error) {
	if c.TimeoutMS < 0 || c.TimeoutMS > 1<<31-1 {
		return "", "", ErrBadArgument
	}
	if method = c.Method; method == "" {
		method = "GET"
	}
	var list strings.Builder
	for _, text := range c.Fields {
		if strings.IndexByte(text, 0) >= 0 {
			return "", "", ErrBadArgument
		}
		list.WriteString(text)
		list.WriteByte(0)
	}
	return method, list.String(), nil
}

// Await waits until the response is there, at most so many milliseconds; -1 is
// until the call ends, 0 not at all. ErrPending says that it may be asked again.
func (p Pending) Await(milliseconds int) (Answered, error) {
	if err := callError(awaitCall(p.handle, uint32(milliseconds))); err != nil {
		return Answered{}, err
	}
	a := Answered{Status: int(getCallStatus(p.handle)), Body: make([]byte, getCallBodyLength(p.handle))}
	a.header, a.trailer = p.fields(0), p.fields(1)
	for read := 0; read < len(a.Body); {
		n := readCallBody(p.handle, uint32(read), a.Body[read:])
		if n == 0 {
			return Answered{}, ErrFailed
		}
		read += int(n)
	}
	return a, nil
}

func (p Pending) fields(kind uint32) []string {
	joined := string(read(func(buf []byte) uint32 { return getCallFields(p.handle, kind, buf) }))
	if joined == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(joined, "\x00"), "\x00")
}

// Close ends the call, whether it has a response or not.
func (p Pending) Close() { closeCall(p.handle) }

func callError(status uint32) error {
	switch status {
	case 0:
		return nil
	case 2:
		return ErrBadArgument
	case 4:
		return ErrPending
	case 5:
		return ErrNotGranted
	case 6:
		return ErrAddress
	case 7:
		return ErrTimeout
	case 8:
		return ErrTooLarge
	case 9:
		return ErrBusy
	default:
		return ErrFailed
	}
}
