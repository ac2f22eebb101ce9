package message

import "github.com/ergoproxy/ergo/host/exchange"

// AppendChunkHead appends what stands before the size > 0 bytes of a chunk (RFC
// 9112, 7.1). AppendChunkTail follows them.
func AppendChunkHead(dst []byte, size int) []byte {
	const digits = "0123456789abcdef"
	var store [16]byte
	i := len(store)
	for n := uint64(size); ; {
		i--
		store[i] = digits[n&15]
		if n >>= 4; n == 0 {
			break
		}
	}
	dst = append(dst, store[i:]...)
	return append(dst, crlf...)
}

// AppendChunkTail appends what stands after a chunk's bytes.
func AppendChunkTail(dst []byte) []byte { return append(dst, crlf...) }

// AppendLastChunk appends the end of a chunked body with the trailers that may be
// some; trailer may be nil. It is ErrUnwritable, with dst as it was, if a value
// could end its line.
func AppendLastChunk(dst []byte, trailer *exchange.Header) ([]byte, error) {
	start := len(dst)
	dst = append(dst, "0\r\n"...)
	if trailer != nil {
		for _, f := range trailer.Fields() {
			if !exchange.TrailerAllowed(f.Name) {
				continue
			}
			if !validValue(f.Value) {
				return dst[:start], ErrUnwritable
			}
			dst = appendField(dst, f.Name, f.Value)
		}
	}
	return append(dst, crlf...), nil
}
