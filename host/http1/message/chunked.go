package message

import (
	"math"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// maxExtensions bounds the bytes of chunk extensions that are not made up for by
// as much data.
const maxExtensions = 16 << 10

// where a chunked body is being read.
type chunkState uint8

const (
	atSize      chunkState = iota // before or within a chunk's size
	atExtension                   // within its extensions
	atQuoted                      // within a quoted value of one
	atEscaped                     // after a backslash in it
	atSizeLF                      // before the LF of its line
	atData                        // before or within its data
	atDataCR                      // after its data
	atDataLF
	atTrailer // within the trailer section
	atEnd
)

// ChunkDecoder takes the chunked coding off a body (RFC 9112, 7.1) as its bytes
// come, and copies none of the data. Extensions are looked at and dropped. Set
// Limits and Trailer before the first call. It is not safe for concurrent use.
type ChunkDecoder struct {
	Limits Limits // of the trailer section
	// Trailer gets the trailer fields that may be some, in place of what it has,
	// with text of their own; other fields are dropped. It may be nil.
	Trailer *exchange.Header

	left    int64 // of the chunk's data
	digits  uint8 // of the chunk's size
	state   chunkState
	excess  int64 // of extensions
	section section
	read    exchange.Header // of the trailer section, before it is complete
}

// Reset makes the decoder ready for the next body; Limits stay.
func (d *ChunkDecoder) Reset(trailer *exchange.Header) {
	d.read.Reset()
	*d = ChunkDecoder{Limits: d.Limits, Trailer: trailer, read: d.read}
}

// Left returns how many bytes of data are next, if the decoder is within a chunk's
// data: that many may be read to elsewhere than the buffer and told to Skip. It
// is 0 everywhere else.
func (d *ChunkDecoder) Left() int64 {
	if d.state == atData {
		return d.left
	}
	return 0
}

// Skip says that n <= Left bytes of data were read without Next.
func (d *ChunkDecoder) Skip(n int64) {
	d.left -= n
	d.excess = max(0, d.excess-n)
	if d.left == 0 {
		d.state = atDataCR
	}
}

// Next looks at buf, which begins with the first byte that was not consumed. It
// returns how many bytes it consumed, of which the last len(data) are data of the
// body, a part of buf; done says that the body and its trailers are complete. If
// there is no data and it is not done, all of buf was of no avail and more bytes
// are needed behind what was not consumed: that is part of a trailer section, and
// bounded by Limits. An error is an *Error.
func (d *ChunkDecoder) Next(buf []byte) (consumed int, data []byte, done bool, err error) {
	i := 0
	for i < len(buf) {
		switch d.state {
		case atData:
			n := int(min(d.left, int64(len(buf)-i)))
			d.Skip(int64(n))
			return i + n, buf[i : i+n : i+n], false, nil
		case atTrailer:
			size, err := d.trailer(buf[i:])
			return i + size, nil, d.state == atEnd, err
		case atEnd:
			return i, nil, true, nil
		}
		if bad := d.step(buf[i]); bad != nil {
			return i, nil, false, bad
		}
		i++
	}
	return i, nil, d.state == atEnd, nil
}

// step takes one byte of what frames a chunk.
func (d *ChunkDecoder) step(c byte) *Error {
	switch d.state {
	case atSize:
		return d.size(c)
	case atExtension, atQuoted, atEscaped:
		return d.extension(c)
	case atSizeLF:
		if c != '\n' {
			return ErrBareCR
		}
		d.state, d.digits = atData, 0
		if d.left == 0 {
			d.state, d.section.trailers = atTrailer, true
		}
	case atDataCR:
		if c != '\r' {
			return ErrChunkEnd
		}
		d.state = atDataLF
	case atDataLF:
		if c != '\n' {
			return ErrChunkEnd
		}
		d.state = atSize
	}
	return nil
}

// size takes one byte of a chunk's size, or the first one after it.
func (d *ChunkDecoder) size(c byte) *Error {
	digit := hexDigits[c]
	if digit < 16 {
		if d.digits++; d.digits > 16 || d.left > math.MaxInt64>>4 {
			return ErrChunkRange
		}
		d.left = d.left<<4 | int64(digit)
		return nil
	}
	switch {
	case d.digits == 0:
		return ErrChunkSize
	case c == '\r':
		d.state = atSizeLF
	case c == ';':
		d.state = atExtension
	case c == '\n':
		return ErrBareLF
	default:
		return ErrChunkSize
	}
	return nil
}

// extension takes one byte of the extensions. They are looked at only as far as
// all that read them must find their end in the same place.
func (d *ChunkDecoder) extension(c byte) *Error {
	if d.excess++; d.excess > maxExtensions {
		return ErrExtensions
	}
	switch {
	case c == '\n':
		return ErrBareLF
	case c == '\r' && d.state == atExtension:
		d.state = atSizeLF
	case classes[c]&inText == 0:
		return ErrExtension
	case d.state == atEscaped:
		d.state = atQuoted
	case d.state == atQuoted:
		switch c {
		case '"':
			d.state = atExtension
		case '\\':
			d.state = atEscaped
		}
	case c == '"':
		d.state = atQuoted
	case classes[c]&inToken == 0 && c != ';' && c != '=' && !isSpace(c):
		return ErrExtension
	}
	return nil
}

// trailer parses the trailer section that buf begins with. It consumes nothing
// before it is complete.
func (d *ChunkDecoder) trailer(buf []byte) (size int, err error) {
	within, full := d.Limits.cut(buf)
	size, bad := d.section.parse(within, &d.Limits, &d.read)
	switch {
	case bad != nil:
		return 0, bad
	case size == 0 && full:
		return 0, ErrTooLarge
	case size == 0:
		return 0, nil
	}
	d.state = atEnd
	if d.Trailer != nil {
		d.Trailer.Reset()
		d.keep()
	}
	return size, nil
}

// keep copies the trailers that may be some.
func (d *ChunkDecoder) keep() {
	for _, f := range d.read.Fields() {
		if exchange.TrailerAllowed(f.Name) {
			d.Trailer.Add(strings.Clone(f.Name), strings.Clone(f.Value))
		}
	}
	d.read.Reset()
}

// hexDigits has the value of each digit, 16 for what is none.
var hexDigits = func() (table [256]uint8) {
	for i := range table {
		switch c := byte(i); {
		case '0' <= c && c <= '9':
			table[i] = c - '0'
		case 'a' <= c && c <= 'f':
			table[i] = c - 'a' + 10
		case 'A' <= c && c <= 'F':
			table[i] = c - 'A' + 10
		default:
			table[i] = 16
		}
	}
	return table
}()
