// Package smuggling has messages that are known to be read in two ways by some
// pair of servers: a request that hides another one behind it, and a response
// that hides another. It is data for tests.
package smuggling

import "strings"

// Request is all that a client sends on one connection. However the host answers,
// its origin must never see a request for Hidden.
type Request struct {
	Name  string
	Bytes string
	// Status is the answer, after which the connection ends; 0: the host lets it in
	// as one request, for "/a" of Host "h", with the body that Body is.
	Status int
	Body   string
}

// Hidden is the target of the requests that are hidden.
const Hidden = "/hidden"

const (
	hidden   = "GET " + Hidden + " HTTP/1.1\r\nHost: h\r\n\r\n"
	inChunks = "0\r\n\r\n" + hidden
)

// post makes a request of fields and what follows them.
func post(fields, rest string) string {
	return "POST /a HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + rest
}

// body makes a chunked request of its body.
func body(chunks string) string { return post("Transfer-Encoding: chunked\r\n", chunks) }

// Requests returns all of them.
func Requests() []Request {
	var all []Request
	for _, family := range [][]Request{lengths(), codings(), bothLengths(), chunkSizes(), chunkEnds(), lineEnds(), names(), hosts(), lines()} {
		all = append(all, family...)
	}
	return all
}

// lengths are games with Content-Length alone.
func lengths() []Request {
	of := func(name, fields string) Request {
		return Request{Name: "CL.CL: " + name, Bytes: post(fields, hidden), Status: 400}
	}
	return []Request{
		of("two", "Content-Length: 0\r\nContent-Length: 33\r\n"),
		of("two, the other way", "Content-Length: 33\r\nContent-Length: 0\r\n"),
		of("two equal ones", "Content-Length: 33\r\nContent-Length: 33\r\n"),
		of("two in other case", "Content-Length: 0\r\ncontent-length: 33\r\n"),
		of("list", "Content-Length: 0, 33\r\n"),
		of("list of equal ones", "Content-Length: 33, 33\r\n"),
		of("empty and one", "Content-Length:\r\nContent-Length: 33\r\n"),
		of("plus", "Content-Length: +33\r\n"),
		of("minus", "Content-Length: -33\r\n"),
		of("minus 0", "Content-Length: -0\r\n"),
		of("hexadecimal", "Content-Length: 0x21\r\n"),
		of("underscore", "Content-Length: 3_3\r\n"),
		of("space within", "Content-Length: 3 3\r\n"),
		of("trailing letter", "Content-Length: 33a\r\n"),
		of("exponent", "Content-Length: 33e0\r\n"),
		of("fraction", "Content-Length: 33.0\r\n"),
		of("semicolon", "Content-Length: 0;33\r\n"),
		of("quoted", "Content-Length: \"33\"\r\n"),
		of("NUL after", "Content-Length: 33\x00\r\n"),
		of("NUL within", "Content-Length: 0\x0033\r\n"),
		of("vertical tab before", "Content-Length: \x0b33\r\n"),
		of("form feed after", "Content-Length: 33\x0c\r\n"),
		of("no-break space before", "Content-Length: \xa033\r\n"),
		of("no-break space of UTF-8", "Content-Length:\u00a033\r\n"),
		of("other digits", "Content-Length: \uff13\uff13\r\n"),
		of("wraps at 64 bits", "Content-Length: 18446744073709551649\r\n"),
		of("beyond 63 bits", "Content-Length: 9223372036854775808\r\n"),
		{Name: "CL.CL: leading zeros", Bytes: post("Content-Length: 0005\r\nConnection: close\r\n", "hello"), Body: "hello"},
		{Name: "CL.0: body of GET", Bytes: "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 33\r\n\r\n" + hidden, Body: hidden},
		{Name: "CL.0: length that Connection names", Bytes: post("Connection: close, Content-Length\r\nContent-Length: 33\r\n", hidden), Body: hidden},
		{Name: "CL.0: length of another spelling beside", Bytes: post("Connection: close\r\nContent_Length: 0\r\nContent-Length: 33\r\n", hidden), Body: hidden},
		{Name: "CL.0: expectation with a body at once", Bytes: post("Connection: close\r\nExpect: 100-continue\r\nContent-Length: 33\r\n", hidden), Body: hidden},
		{Name: "CL.0: obfuscated expectation", Bytes: post("Expect: y 100-continue\r\nContent-Length: 33\r\n", hidden), Status: 417},
	}
}

// codings are games with Transfer-Encoding alone.
func codings() []Request {
	of := func(status int, name, fields string) Request {
		return Request{Name: "TE.TE: " + name, Bytes: post(fields, inChunks), Status: status}
	}
	return []Request{
		of(400, "two", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		of(400, "the second unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n"),
		of(501, "the first unknown", "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n"),
		of(400, "the second identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
		of(400, "the second empty", "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"),
		of(400, "list of equal ones", "Transfer-Encoding: chunked, chunked\r\n"),
		of(400, "chunked first", "Transfer-Encoding: chunked, cow\r\n"),
		of(501, "cow first", "Transfer-Encoding: cow, chunked\r\n"),
		of(501, "gzip first", "Transfer-Encoding: gzip, chunked\r\n"),
		of(501, "identity", "Transfer-Encoding: identity\r\n"),
		of(501, "gzip alone", "Transfer-Encoding: gzip\r\n"),
		of(501, "letter before", "Transfer-Encoding: xchunked\r\n"),
		of(501, "letter after", "Transfer-Encoding: chunkedx\r\n"),
		of(400, "parameter", "Transfer-Encoding: chunked;foo=bar\r\n"),
		of(400, "quotes", "Transfer-Encoding: \"chunked\"\r\n"),
		of(501, "apostrophes", "Transfer-Encoding: 'chunked'\r\n"),
		of(400, "comma after", "Transfer-Encoding: chunked,\r\n"),
		of(400, "comma before", "Transfer-Encoding: ,chunked\r\n"),
		of(400, "two words", "Transfer-Encoding: chunked false\r\n"),
		of(400, "two colons", "Transfer-Encoding:: chunked\r\n"),
		of(400, "vertical tab before", "Transfer-Encoding: \x0bchunked\r\n"),
		of(400, "vertical tab after", "Transfer-Encoding: chunked\x0b\r\n"),
		of(400, "form feed before", "Transfer-Encoding:\x0cchunked\r\n"),
		of(400, "backspace", "Transfer-Encoding: chunkedx\x08\r\n"),
		of(400, "DEL", "Transfer-Encoding: chunked\x7f\r\n"),
		of(400, "NUL", "Transfer-Encoding: chunked\x00\r\n"),
		of(400, "byte above 127", "Transfer-Encoding: \xffchunked\r\n"),
		of(400, "letter that folds to k", "Transfer-Encoding: chun\u212aed\r\n"),
		of(400, "newline in the value", "Transfer-Encoding:\n chunked\r\n"),
		of(400, "folded", "Transfer-Encoding:\r\n chunked\r\n"),
		of(400, "empty", "Transfer-Encoding:\r\n"),
		{Name: "TE.TE: HTTP/1.0", Bytes: "POST /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + inChunks, Status: 400},
		{Name: "TE.0: another spelling alone", Bytes: post("Connection: close\r\nTransfer_Encoding: chunked\r\n", "")},
		{Name: "TE.0: coding that Connection names", Bytes: post("Connection: close, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), Body: "hello"},
		{Name: "TE.0: upper case", Bytes: post("Connection: close\r\nTransfer-Encoding:\tCHUNKED \r\n", "5\r\nhello\r\n0\r\n\r\n"), Body: "hello"},
	}
}

// bothLengths are CL.TE and TE.CL: each coding, hidden or not, beside a length.
func bothLengths() []Request {
	var all []Request
	for _, test := range codings() {
		fields, _, _ := strings.Cut(strings.TrimPrefix(test.Bytes, "POST /a HTTP/1.1\r\nHost: h\r\n"), "\r\n\r\n")
		if test.Status == 0 || !strings.HasPrefix(test.Bytes, "POST /a HTTP/1.1") {
			continue
		}
		name := strings.TrimPrefix(test.Name, "TE.TE: ")
		all = append(all,
			Request{Name: "CL.TE: " + name, Bytes: post("Content-Length: 38\r\n"+fields+"\r\n", inChunks), Status: test.Status},
			Request{Name: "TE.CL: " + name, Bytes: post(fields+"\r\nContent-Length: 4\r\n", "21\r\n"+hidden+"\r\n0\r\n\r\n"), Status: test.Status})
	}
	return append(all,
		Request{Name: "CL.TE: plain", Bytes: post("Content-Length: 38\r\nTransfer-Encoding: chunked\r\n", inChunks), Status: 400},
		Request{Name: "TE.CL: plain", Bytes: post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "21\r\n"+hidden+"\r\n0\r\n\r\n"), Status: 400},
		Request{Name: "CL.TE: length of 0", Bytes: post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", inChunks), Status: 400},
		Request{Name: "CL.TE: coding that Connection names", Bytes: post("Content-Length: 38\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", inChunks), Status: 400},
		Request{Name: "CL.TE: length that Connection names", Bytes: post("Content-Length: 38\r\nConnection: Content-Length\r\nTransfer-Encoding: chunked\r\n", inChunks), Status: 400},
		Request{Name: "CL.TE: another spelling of the coding", Bytes: post("Connection: close\r\nContent-Length: 38\r\nTransfer_Encoding: chunked\r\n", inChunks), Body: inChunks},
	)
}
