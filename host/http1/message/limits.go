package message

// Limits bound a message's head, and the trailer section behind its body by
// itself. A limit of 0 is none.
type Limits struct {
	HeaderBytes int // the whole head, with its first line and its end
	HeaderCount int // its fields, whatever becomes of them
}

// cut returns what of buf may be part of a head, and whether that is all that
// may be.
func (l *Limits) cut(buf []byte) (within []byte, full bool) {
	if l.HeaderBytes > 0 && len(buf) >= l.HeaderBytes {
		return buf[:l.HeaderBytes], true
	}
	return buf, false
}
