package message

import "strings"

// smuggledRequest is all that a client sends on one connection: a request that
// some pair of servers reads in two ways, with another one for hiddenTarget in it
// that only one of them sees.
type smuggledRequest struct {
	name  string
	bytes string
	// status is what it is refused with; 0: it is let in as one request, for "/a",
	// with that body.
	status int
	body   string
}

// hiddenTarget is the target of the requests that are hidden.
const hiddenTarget = "/hidden"

const (
	hiddenRequest  = "GET " + hiddenTarget + " HTTP/1.1\r\nHost: h\r\n\r\n"
	hiddenInChunks = "0\r\n\r\n" + hiddenRequest
)

// smuggledPost makes a request of fields and what follows them.
func smuggledPost(fields, rest string) string {
	return "POST /a HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + rest
}

// smuggledBody makes a chunked request of its body.
func smuggledBody(chunks string) string {
	return smuggledPost("Transfer-Encoding: chunked\r\n", chunks)
}

// smuggledRequests returns all of them.
func smuggledRequests() []smuggledRequest {
	var all []smuggledRequest
	for _, family := range [][]smuggledRequest{
		smuggledLengths(), smuggledCodings(), smuggledBoth(), smuggledSizes(), smuggledEnds(), smuggledLineEnds(),
		smuggledNames(), smuggledHosts(), smuggledLines(),
	} {
		all = append(all, family...)
	}
	return all
}

// smuggledLengths are games with Content-Length alone.
func smuggledLengths() []smuggledRequest {
	of := func(name, fields string) smuggledRequest {
		return smuggledRequest{name: "CL.CL: " + name, bytes: smuggledPost(fields, hiddenRequest), status: 400}
	}
	return []smuggledRequest{
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
		{name: "CL.CL: leading zeros", bytes: smuggledPost("Content-Length: 0005\r\nConnection: close\r\n", "hello"), body: "hello"},
		{name: "CL.0: body of GET", bytes: "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 33\r\n\r\n" + hiddenRequest, body: hiddenRequest},
		{name: "CL.0: length that Connection names", bytes: smuggledPost("Connection: close, Content-Length\r\nContent-Length: 33\r\n", hiddenRequest), body: hiddenRequest},
		{name: "CL.0: length of another spelling beside", bytes: smuggledPost("Connection: close\r\nContent_Length: 0\r\nContent-Length: 33\r\n", hiddenRequest), body: hiddenRequest},
		{name: "CL.0: expectation with a body at once", bytes: smuggledPost("Connection: close\r\nExpect: 100-continue\r\nContent-Length: 33\r\n", hiddenRequest), body: hiddenRequest},
		{name: "CL.0: obfuscated expectation", bytes: smuggledPost("Expect: y 100-continue\r\nContent-Length: 33\r\n", hiddenRequest), status: 417},
	}
}

// smuggledCodings are games with Transfer-Encoding alone.
func smuggledCodings() []smuggledRequest {
	of := func(status int, name, fields string) smuggledRequest {
		return smuggledRequest{name: "TE.TE: " + name, bytes: smuggledPost(fields, hiddenInChunks), status: status}
	}
	return []smuggledRequest{
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
		{name: "TE.TE: HTTP/1.0", bytes: "POST /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + hiddenInChunks, status: 400},
		{name: "TE.0: another spelling alone", bytes: smuggledPost("Connection: close\r\nTransfer_Encoding: chunked\r\n", "")},
		{name: "TE.0: coding that Connection names", bytes: smuggledPost("Connection: close, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), body: "hello"},
		{name: "TE.0: upper case", bytes: smuggledPost("Connection: close\r\nTransfer-Encoding:\tCHUNKED \r\n", "5\r\nhello\r\n0\r\n\r\n"), body: "hello"},
	}
}

// smuggledBoth are CL.TE and TE.CL: each coding, hidden or not, beside a length.
func smuggledBoth() []smuggledRequest {
	var all []smuggledRequest
	for _, test := range smuggledCodings() {
		fields, _, _ := strings.Cut(strings.TrimPrefix(test.bytes, "POST /a HTTP/1.1\r\nHost: h\r\n"), "\r\n\r\n")
		if test.status == 0 || !strings.HasPrefix(test.bytes, "POST /a HTTP/1.1") {
			continue
		}
		name := strings.TrimPrefix(test.name, "TE.TE: ")
		all = append(all,
			smuggledRequest{name: "CL.TE: " + name, bytes: smuggledPost("Content-Length: 38\r\n"+fields+"\r\n", hiddenInChunks), status: test.status},
			smuggledRequest{name: "TE.CL: " + name, bytes: smuggledPost(fields+"\r\nContent-Length: 4\r\n", "21\r\n"+hiddenRequest+"\r\n0\r\n\r\n"), status: test.status})
	}
	return append(all,
		smuggledRequest{name: "CL.TE: plain", bytes: smuggledPost("Content-Length: 38\r\nTransfer-Encoding: chunked\r\n", hiddenInChunks), status: 400},
		smuggledRequest{name: "TE.CL: plain", bytes: smuggledPost("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "21\r\n"+hiddenRequest+"\r\n0\r\n\r\n"), status: 400},
		smuggledRequest{name: "CL.TE: length of 0", bytes: smuggledPost("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", hiddenInChunks), status: 400},
		smuggledRequest{name: "CL.TE: coding that Connection names", bytes: smuggledPost("Content-Length: 38\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", hiddenInChunks), status: 400},
		smuggledRequest{name: "CL.TE: length that Connection names", bytes: smuggledPost("Content-Length: 38\r\nConnection: Content-Length\r\nTransfer-Encoding: chunked\r\n", hiddenInChunks), status: 400},
		smuggledRequest{name: "CL.TE: another spelling of the coding", bytes: smuggledPost("Connection: close\r\nContent-Length: 38\r\nTransfer_Encoding: chunked\r\n", hiddenInChunks), body: hiddenInChunks},
	)
}
