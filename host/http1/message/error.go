package message

// Error says why a message is refused. Nothing of the connection it came by can
// be read after one, so that it ends. The ones below are all there are: compare
// with ==.
type Error struct {
	// Status is the answer to a client whose request it is. A response that is
	// refused makes a 502 of any.
	Status int
	Reason string // in plain words, with the source
}

func (e *Error) Error() string { return e.Reason }

// What is wrong with a head.
var (
	ErrBareCR         = &Error{400, "a CR that is not followed by LF (RFC 9112, 2.2)"}
	ErrBareLF         = &Error{400, "a LF that does not follow CR (RFC 9112, 2.2)"}
	ErrMethod         = &Error{400, "the method is not a token (RFC 9112, 3.1)"}
	ErrMethodTooLong  = &Error{501, "the method is longer than a head may be (RFC 9112, 3)"}
	ErrConnect        = &Error{501, "CONNECT is not served (RFC 9110, 9.3.6)"}
	ErrTarget         = &Error{400, "the request target is none of a path, an http URI, or * with OPTIONS (RFC 9112, 3.2)"}
	ErrTargetTooLong  = &Error{414, "the request line is longer than a head may be (RFC 9112, 3)"}
	ErrVersion        = &Error{400, "the HTTP version is malformed (RFC 9112, 2.3)"}
	ErrUnknownVersion = &Error{505, "the HTTP version is neither 1.0 nor 1.1 (RFC 9110, 15.6.6)"}
	ErrStatusLine     = &Error{400, "the status line is malformed (RFC 9112, 4)"}
	ErrStatus         = &Error{400, "the status is not between 100 and 599 (RFC 9110, 15)"}
	ErrTooLarge       = &Error{431, "the head has more bytes than it may have (RFC 6585, 5)"}
	ErrTooMany        = &Error{431, "the head has more fields than it may have (RFC 6585, 5)"}

	ErrFolded     = &Error{400, "a line begins with white space (RFC 9112, 2.2 and 5.2)"}
	ErrName       = &Error{400, "a field name is not a token (RFC 9110, 5.1)"}
	ErrEmptyName  = &Error{400, "a field has no name (RFC 9110, 5.1)"}
	ErrNoColon    = &Error{400, "a line of the head has no colon (RFC 9112, 5)"}
	ErrNameSpace  = &Error{400, "white space before a colon (RFC 9112, 5.1)"}
	ErrValue      = &Error{400, "a control character in a field value (RFC 9110, 5.5)"}
	ErrNoHost     = &Error{400, "no Host (RFC 9112, 3.2)"}
	ErrHost       = &Error{400, "Host is not a host with an optional port (RFC 9112, 3.2)"}
	ErrHosts      = &Error{400, "more than one Host (RFC 9112, 3.2)"}
	ErrOtherHost  = &Error{400, "Host differs from the target's authority (RFC 9112, 3.2)"}
	ErrExpect     = &Error{417, "an expectation other than 100-continue (RFC 9110, 10.1.1)"}
	ErrLength     = &Error{400, "Content-Length is not a number (RFC 9110, 8.6)"}
	ErrLengths    = &Error{400, "more than one Content-Length (RFC 9112, 6.3)"}
	ErrBothFramed = &Error{400, "both Transfer-Encoding and Content-Length (RFC 9112, 6.1)"}
	ErrNotChunked = &Error{400, "Transfer-Encoding is not chunked, once and last (RFC 9112, 6.3)"}
	ErrCoding     = &Error{501, "an unknown transfer coding (RFC 9112, 6.1)"}
	ErrOldCoding  = &Error{400, "Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)"}
	ErrNoContent  = &Error{400, "a response without content that says it has some (RFC 9110, 8.6, and RFC 9112, 6.1)"}
)

// What is wrong with a chunked body.
var (
	ErrChunkSize  = &Error{400, "a chunk size is not a hexadecimal number (RFC 9112, 7.1)"}
	ErrChunkRange = &Error{413, "a chunk size is out of range (RFC 9112, 7.1)"}
	ErrChunkEnd   = &Error{400, "no CRLF after a chunk's data (RFC 9112, 7.1)"}
	ErrExtension  = &Error{400, "a chunk extension is malformed (RFC 9112, 7.1.1)"}
	ErrExtensions = &Error{400, "chunk extensions without end (RFC 9112, 7.1.1)"}
)

// ErrUnwritable says that a head holds what cannot stand in a message: it was
// made so here, by nobody outside.
var ErrUnwritable = &Error{500, "a head that cannot be written (RFC 9112, 3 to 5)"}
