package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

var (
	_ exchange.Sink        = (*call)(nil)
	_ exchange.Interrupter = (*call)(nil)
)

// Inform follows exchange.Sink.
func (c *call) Inform(status int, h *exchange.Header) error {
	if c.sent || status <= 100 || status > 199 || status == 101 {
		return nil
	}
	c.heading.Lock()
	defer c.heading.Unlock()
	header := c.w.Header()
	setHeader(header, h)
	// This field is not written but has HTTP/2 write a copy of the header, which it
	// may go on to read when a client that is gone has made it return.
	header["Transfer-Encoding"] = nil
	c.writing.begin()
	c.w.WriteHeader(status)
	c.writing.end()
	clear(header)
	return c.r.Context().Err()
}

// proceed sends the 100 (Continue) that a client waits for. HTTP/2 does that
// itself. It may be called from where the body is read.
func (c *call) proceed() {
	c.heading.Lock()
	defer c.heading.Unlock()
	if !c.expects || c.headed {
		return
	}
	c.expects = false
	if limit := c.writing.limit; limit > 0 {
		c.control.SetWriteDeadline(time.Now().Add(limit))
		defer c.control.SetWriteDeadline(time.Time{})
	}
	c.w.WriteHeader(http.StatusContinue)
}

// Send follows exchange.Sink.
func (c *call) Send(x *exchange.Exchange) error {
	if c.sent {
		return &exchange.SendError{Err: errSentTwice}
	}
	c.sent = true
	if err := c.sendable(); err != nil {
		x.Fail(&exchange.Failure{Cause: exchange.CauseProtocol, Status: http.StatusBadGateway, Err: err})
	}
	c.body.respond()
	var err *exchange.SendError
	if x.Response.Status == http.StatusSwitchingProtocols {
		err = c.join()
	} else {
		err = c.respond()
	}
	if body := x.Response.Body; body != nil {
		body.Close()
	}
	x.RequestBytes += c.body.count.Load()
	if err != nil {
		c.broken = true
		return err
	}
	return nil
}

var (
	errNoUpgrade = errors.New("status 101 to a request that can't have asked for it")
	errStatus    = errors.New("no status of a response")
)

// sendable tells why a response can't be written as it is.
func (c *call) sendable() error {
	resp := &c.x.Response
	switch status := resp.Status; {
	case c.key != "" && status < 300:
		return c.switched()
	case status == http.StatusSwitchingProtocols:
		return errNoUpgrade
	case status < 200 || status > 599:
		return fmt.Errorf("%d: %w", status, errStatus)
	}
	return nil
}

// respond writes an ordinary response.
func (c *call) respond() *exchange.SendError {
	resp := &c.x.Response
	c.writeHead()
	if c.r.Method == "HEAD" || !bodyAllowed(resp.Status) {
		if resp.Length < 0 {
			return c.flush() // else HTTP/3 finds that the length is 0
		}
		return nil
	}
	if resp.Body == nil {
		if resp.Length > 0 {
			return &exchange.SendError{Upstream: true, Err: io.ErrUnexpectedEOF}
		}
	} else if err := c.copyBody(); err != nil {
		return err
	}
	c.writeTrailer()
	return nil
}

// bodyAllowed reports whether responses of that status have content (RFC 9110,
// 6.4.1).
func bodyAllowed(status int) bool { return status != 204 && status != 304 }

// writeHead gives the head to net/http, which keeps it until there is content
// or a flush.
func (c *call) writeHead() {
	c.heading.Lock()
	defer c.heading.Unlock()
	c.headed = true
	resp := &c.x.Response
	header := c.w.Header()
	setHeader(header, &resp.Header)
	if header["Content-Type"] == nil {
		header["Content-Type"] = nil // no guess by net/http
	}
	if c.hasTrailers() {
		announce(header, resp)
	}
	if c.tellLength() {
		header["Content-Length"] = []string{strconv.FormatInt(resp.Length, 10)}
	}
	if alternative := c.conn.front.altSvc; alternative != "" && c.x.Request.Version != exchange.HTTP3 && !resp.Header.Has("Alt-Svc") {
		header["Alt-Svc"] = []string{alternative}
	}
	c.w.WriteHeader(resp.Status)
}

// tellLength reports whether the head says how long the body is: not where that
// is forbidden (RFC 9110, 8.6).
func (c *call) tellLength() bool {
	resp := &c.x.Response
	switch {
	case resp.Length < 0 || resp.Status == 204:
		return false
	case resp.Status == 304:
		return resp.Length > 0
	}
	return true
}

// hasTrailers reports whether trailers are known to follow: a response without
// content has no room for them.
func (c *call) hasTrailers() bool {
	resp := &c.x.Response
	return resp.Trailer.Len() > 0 && bodyAllowed(resp.Status)
}

// setHeader copies fields with their spelling, but for those that net/http
// looks for and those that frame the message or belong to the connection. Their
// text is copied too: what writes it may be late, and the exchange over.
func setHeader(header http.Header, h *exchange.Header) {
	values := make([]string, h.Len())
	text := textOf(h)
	for i, field := range h.Fields() {
		name, value := text[:len(field.Name)], text[len(field.Name):len(field.Name)+len(field.Value)]
		text = text[len(name)+len(value):]
		if name = wireName(name); name == "" || !exchange.ValidValue(value) {
			continue
		}
		values[i] = value
		if old := header[name]; old != nil {
			header[name] = append(old, value)
		} else {
			header[name] = values[i : i+1 : i+1]
		}
	}
}

// wireName returns the key of a field in http.Header, "" if it is not copied.
func wireName(name string) string {
	switch len(name) {
	case 4:
		return canonical(name, "Date")
	case 7:
		return skip(name, "Upgrade", "Trailer")
	case 10:
		return skip(name, "Connection", "Keep-Alive")
	case 12:
		return canonical(name, "Content-Type")
	case 14:
		return skip(name, "Content-Length", "")
	case 16:
		return skip(canonical(name, "Content-Encoding"), "Proxy-Connection", "")
	case 17:
		return skip(name, "Transfer-Encoding", "")
	}
	if !exchange.ValidName(name) { // as "Trailer:x" to net/http
		return ""
	}
	return name
}

func canonical(name, spelling string) string {
	if strings.EqualFold(name, spelling) {
		return spelling
	}
	return name
}

func skip(name, a, b string) string {
	if strings.EqualFold(name, a) || strings.EqualFold(name, b) {
		return ""
	}
	return name
}

// textOf returns the names and values of all fields, one after the other.
func textOf(h *exchange.Header) string {
	n := 0
	for _, field := range h.Fields() {
		n += len(field.Name) + len(field.Value)
	}
	var text strings.Builder
	text.Grow(n)
	for _, field := range h.Fields() {
		text.WriteString(field.Name)
		text.WriteString(field.Value)
	}
	return text.String()
}

// announce names the trailers that are known to come. Of a name that is in the
// header too, HTTP/3 would write the trailer alone.
func announce(header http.Header, resp *exchange.Response) {
	for _, field := range resp.Trailer.Fields() {
		if exchange.TrailerAllowed(field.Name) && !resp.Header.Has(field.Name) {
			header["Trailer"] = append(header["Trailer"], strings.Clone(field.Name))
		}
	}
}

// writeTrailer hands trailers to net/http, which sends those that were not
// announced too.
func (c *call) writeTrailer() {
	trailer := &c.x.Response.Trailer
	if trailer.Len() == 0 {
		return
	}
	header := c.w.Header()
	for _, field := range trailer.Fields() {
		if exchange.TrailerAllowed(field.Name) {
			key := http.TrailerPrefix + field.Name
			header[key] = append(header[key], strings.Clone(field.Value))
		}
	}
}

// copyBytes is what is moved at once.
const copyBytes = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBytes]byte) }}

// heldBytes is what net/http surely holds back until the end of the call, so
// that writing it can't block.
const heldBytes = 2 << 10

// copyBody moves the body. It flushes what comes if the length is not known, as
// then the client may wait for each part; else buffers fill.
func (c *call) copyBody() *exchange.SendError {
	resp := &c.x.Response
	flush := resp.Length < 0 || isStream(&resp.Header)
	if flush {
		if err := c.flush(); err != nil {
			return err
		}
	}
	buffer := copyBuffers.Get().(*[copyBytes]byte)
	defer copyBuffers.Put(buffer)
	for empty := 0; ; {
		n, readErr := resp.Body.Read(buffer[:])
		excess := resp.Length >= 0 && c.x.ResponseBytes+int64(n) > resp.Length
		if excess {
			n = int(resp.Length - c.x.ResponseBytes)
		}
		if err := c.write(buffer[:n], flush && readErr == nil); err != nil {
			return err
		}
		if n > 0 {
			empty = 0
		} else if empty++; empty > 100 && readErr == nil {
			readErr = io.ErrNoProgress
		}
		switch {
		case excess:
			return c.readError(errors.New("the body is longer than its length"))
		case readErr == io.EOF && c.x.ResponseBytes < resp.Length:
			return c.readError(io.ErrUnexpectedEOF)
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return c.readError(readErr)
		}
	}
}

// isStream tells bodies that are read as they come, whatever their length.
func isStream(h *exchange.Header) bool {
	contentType := h.Value("content-type")
	return strings.HasPrefix(contentType, "text/event-stream") || strings.HasPrefix(contentType, "application/grpc")
}

func (c *call) write(p []byte, flush bool) *exchange.SendError {
	if len(p) == 0 {
		return nil
	}
	length := c.x.Response.Length
	if mayBlock := length < 0 || length > heldBytes; mayBlock {
		c.writing.begin()
		defer c.writing.end()
	}
	n, err := c.w.Write(p)
	c.x.ResponseBytes += int64(n)
	if err == nil && flush {
		err = c.control.Flush()
	}
	if err != nil {
		return &exchange.SendError{Err: err}
	}
	return nil
}

func (c *call) flush() *exchange.SendError {
	c.writing.begin()
	defer c.writing.end()
	if err := c.control.Flush(); err != nil {
		return &exchange.SendError{Err: err}
	}
	return nil
}

// readError blames the upstream, unless the body broke because the client left.
func (c *call) readError(err error) *exchange.SendError {
	return &exchange.SendError{Upstream: c.r.Context().Err() == nil, Err: err}
}
