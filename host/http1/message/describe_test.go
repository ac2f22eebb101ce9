package message

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// describeFraming says how a body ends: "5", "chunked", "close" or "-".
func describeFraming(f Framing) string {
	switch {
	case f.Chunked:
		return "chunked"
	case f.UntilClose:
		return "close"
	case f.Length == exchange.UnknownLength:
		return "-"
	}
	return fmt.Sprint(f.Length)
}

func describeFields(h *exchange.Header) string {
	var b strings.Builder
	for _, f := range h.Fields() {
		fmt.Fprintf(&b, "|%s: %s", f.Name, f.Value)
	}
	return b.String()
}

// describeRequest tells all of a head in one line.
func describeRequest(r *RequestHead) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %q %s", r.Method, r.Target, r.Version, r.Authority, describeFraming(r.Framing))
	if r.Scheme != "" {
		fmt.Fprintf(&b, " scheme=%s", r.Scheme)
	}
	if r.Close {
		b.WriteString(" close")
	}
	if r.Continue {
		b.WriteString(" continue")
	}
	if r.Upgrade != "" {
		fmt.Fprintf(&b, " upgrade=%q", r.Upgrade)
	}
	b.WriteString(describeFields(r.Header))
	if r.Trailer != nil && r.Trailer.Len() > 0 {
		b.WriteString(" trailer" + describeFields(r.Trailer))
	}
	return b.String()
}

// describeResponse tells all of a head in one line.
func describeResponse(r *ResponseHead) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %q %s", r.Version, r.Status, r.Reason, describeFraming(r.Framing))
	if r.NoBody {
		b.WriteString(" nobody")
	}
	if r.Close {
		b.WriteString(" close")
	}
	if r.Upgrade != "" {
		fmt.Fprintf(&b, " upgrade=%q", r.Upgrade)
	}
	b.WriteString(describeFields(r.Header))
	if r.Trailer != nil && r.Trailer.Len() > 0 {
		b.WriteString(" trailer" + describeFields(r.Trailer))
	}
	return b.String()
}

// parseRequest parses a head that comes in one piece. It returns what it says, or
// the error, and the size.
func parseRequest(input string, l Limits) (says string, size int, err error) {
	var p RequestParser
	r := RequestHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
	size, err = p.Parse([]byte(input), &l, &r)
	if size > 0 && err == nil {
		says = describeRequest(&r)
	}
	return says, size, err
}

func parseResponse(input, method string, l Limits) (says string, size int, err error) {
	var p ResponseParser
	r := ResponseHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
	size, err = p.Parse([]byte(input), &l, method, &r)
	if size > 0 && err == nil {
		says = describeResponse(&r)
	}
	return says, size, err
}

// checkRequestInPieces parses input in two pieces at each place, and byte by byte
// in buffers that are overwritten once they are left.
func checkRequestInPieces(t *testing.T, input string, l Limits) {
	t.Helper()
	want, wantSize, wantErr := parseRequest(input, l)
	check := func(how string, steps []int) {
		var p RequestParser
		r := RequestHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
		size, err := inPieces(input, steps, func(buf []byte) (int, error) { return p.Parse(buf, &l, &r) })
		if size != wantSize || err != wantErr || size > 0 && err == nil && describeRequest(&r) != want {
			t.Errorf("%q %s:\n got %d, %v, %s\nwant %d, %v, %s", input, how, size, err, describeRequest(&r), wantSize, wantErr, want)
		}
	}
	for i := range len(input) {
		check(fmt.Sprintf("cut at %d", i), []int{i})
	}
	check("byte by byte", everyByte(input))
}

func everyByte(input string) (steps []int) {
	for i := range len(input) {
		steps = append(steps, i)
	}
	return steps
}

// inPieces calls parse with what is there at each step and then with all, each
// time in another buffer, until it has a result.
func inPieces(input string, steps []int, parse func([]byte) (int, error)) (size int, err error) {
	var last []byte
	for _, n := range append(steps, len(input)) {
		buf := []byte(input[:n])
		size, err = parse(buf)
		for i := range last {
			last[i] = '?'
		}
		last = buf
		if size > 0 || err != nil {
			break
		}
	}
	return size, err
}
