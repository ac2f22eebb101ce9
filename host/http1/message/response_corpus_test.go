package message

import "strconv"

// smuggledResponse is all that an origin sends on one connection: a response that
// some pair of servers reads in two ways, with another one behind it or in it, whose
// body is hiddenTarget.
type smuggledResponse struct {
	name    string
	method  string // "" is GET
	bytes   string
	refused bool
	body    string // if not refused
}

// hiddenAnswer is a response that nobody asked for.
const hiddenAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-From: " + hiddenTarget + "\r\n\r\n" + hiddenTarget

// smuggledResponses returns all of them.
func smuggledResponses() []smuggledResponse {
	return append(refusedResponses(), overlongResponses()...)
}

func refusedResponses() []smuggledResponse {
	of := func(name, head string) smuggledResponse {
		return smuggledResponse{name: name, bytes: head + "\r\n0\r\n\r\n" + hiddenAnswer, refused: true}
	}
	const line = "HTTP/1.1 200 OK\r\n"
	head := of("CL.TE to HEAD", line+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
	head.method = "HEAD"
	return []smuggledResponse{
		head,
		of("CL.TE", line+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
		of("TE.CL", line+"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
		of("two lengths", line+"Content-Length: 5\r\nContent-Length: 6\r\n"),
		of("two equal lengths", line+"Content-Length: 5\r\nContent-Length: 5\r\n"),
		of("list of lengths", line+"Content-Length: 5, 5\r\n"),
		of("signed length", line+"Content-Length: +5\r\n"),
		of("negative length", line+"Content-Length: -1\r\n"),
		of("empty length", line+"Content-Length:\r\n"),
		of("length beyond 64 bits", line+"Content-Length: 18446744073709551621\r\n"),
		of("two codings", line+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		of("unknown coding", line+"Transfer-Encoding: cow\r\n"),
		of("chunked first", line+"Transfer-Encoding: chunked, cow\r\n"),
		of("coding with a vertical tab", line+"Transfer-Encoding: \x0bchunked\r\n"),
		of("coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"),
		of("space before a colon", line+"Transfer-Encoding : chunked\r\n"),
		of("folded value", line+"X: y\r\n Transfer-Encoding: chunked\r\n"),
		of("newline in a value", line+"X: y\nTransfer-Encoding: chunked\r\n"),
		of("CR in a value", line+"X: y\rTransfer-Encoding: chunked\r\n"),
		of("NUL in a value", line+"X: \x00\r\nContent-Length: 5\r\n"),
		of("NUL in a name", line+"Content-Length\x00: 5\r\n"),
		of("newline after the status line", "HTTP/1.1 200 OK\nContent-Length: 5\r\n"),
		of("NUL in the reason", "HTTP/1.1 200 O\x00K\r\nContent-Length: 5\r\n"),
		of("status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n"),
		of("status beyond 599", "HTTP/1.1 600 OK\r\nContent-Length: 5\r\n"),
		of("status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n"),
		of("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n"),
		of("lower case version", "http/1.1 200 OK\r\nContent-Length: 5\r\n"),
		of("empty line before", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n"),
		of("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n"),
		of("204 in chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n"),
		of("100 with a length", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n"),
	}
}

func overlongResponses() []smuggledResponse {
	of := func(name, method, head, sent, read string) smuggledResponse {
		return smuggledResponse{name: name, method: method, bytes: head + "\r\n" + sent, body: read}
	}
	return []smuggledResponse{
		of("more than its length", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "hello"+hiddenAnswer, "hello"),
		of("more than its chunks", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"+hiddenAnswer, "hello"),
		of("HEAD with a body", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(hiddenAnswer))+"\r\n", hiddenAnswer, ""),
		of("204 with a body", "", "HTTP/1.1 204 No Content\r\n", hiddenAnswer, ""),
		of("304 with a body", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: "+strconv.Itoa(len(hiddenAnswer))+"\r\n", hiddenAnswer, ""),
		of("framing in the trailer", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "0\r\nContent-Length: 60\r\n\r\n"+hiddenAnswer, ""),
	}
}
