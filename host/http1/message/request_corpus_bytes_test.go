package message

import "strings"

// smuggledSizes are games with a chunk's first line.
func smuggledSizes() []smuggledRequest {
	of := func(status int, name, size string) smuggledRequest {
		return smuggledRequest{name: "chunk size: " + name, bytes: smuggledBody(size + "\r\n" + strings.Repeat("x", 5) + "\r\n" + hiddenInChunks), status: status}
	}
	whole := func(name, size string) smuggledRequest {
		return smuggledRequest{name: "chunk size: " + name, bytes: smuggledPost("Connection: close\r\nTransfer-Encoding: chunked\r\n", size+"\r\nhello\r\n0\r\n\r\n"), body: "hello"}
	}
	return []smuggledRequest{
		of(400, "prefix", "0x5"),
		of(400, "plus", "+5"),
		of(400, "minus", "-5"),
		of(400, "minus 0", "-0"),
		of(400, "space before", " 5"),
		of(400, "space after", "5 "),
		of(400, "tab after", "5\t"),
		of(400, "space within", "0 5"),
		of(400, "underscore", "0_5"),
		of(400, "letter after", "5g"),
		of(400, "h after", "5h"),
		of(400, "comma", "5,5"),
		of(400, "NUL after", "5\x00"),
		of(400, "NUL before", "\x005"),
		of(400, "vertical tab after", "5\x0b"),
		of(400, "quoted", "\"5\""),
		of(400, "empty", ""),
		of(400, "extension alone", ";5"),
		of(413, "wraps at 64 bits", "10000000000000005"),
		of(413, "beyond 63 bits", "8000000000000005"),
		of(413, "beyond 63 bits, as 0", "ffffffffffffffff"),
		of(413, "many zeros", strings.Repeat("0", 64)+"5"),
		of(400, "newline in an extension", "5;\nxx"),
		of(400, "CR in an extension", "5;a\rb"),
		of(400, "newline in a quoted extension", "5;a=\"\n\""),
		of(400, "line end in a quoted extension", "5;a=\"\r\n\""),
		of(400, "quote that stays open", "5;a=\"b"),
		of(400, "NUL in an extension", "5;a\x00b"),
		of(400, "space before an extension", "5 ;a=b"),
		of(400, "long extension", "5;"+strings.Repeat("a", 20<<10)),
		whole("extension", "5;a=b;c=\"d\\\"\""),
		whole("zeros", "0005"),
	}
}

// smuggledEnds are games with what ends chunks and the body.
func smuggledEnds() []smuggledRequest {
	of := func(name, chunks string) smuggledRequest {
		return smuggledRequest{name: "chunk end: " + name, bytes: smuggledBody(chunks), status: 400}
	}
	whole := func(name, chunks, data string) smuggledRequest {
		return smuggledRequest{name: "chunk end: " + name, bytes: smuggledPost("Connection: close\r\nTransfer-Encoding: chunked\r\n", chunks), body: data}
	}
	return []smuggledRequest{
		of("newline after a size", "5\nhello\r\n"+hiddenInChunks),
		of("CR after a size", "5\rhello\r\n"+hiddenInChunks),
		of("two CRs after a size", "5\r\r\nhello\r\n"+hiddenInChunks),
		of("newline after data", "5\r\nhello\n"+hiddenInChunks),
		of("CR after data", "5\r\nhello\r"+hiddenInChunks),
		of("any two bytes after data", "5\r\nhelloXX"+hiddenInChunks),
		of("nothing after data", "5\r\nhello"+hiddenInChunks),
		of("a byte too many", "5\r\nhello!\r\n"+hiddenInChunks),
		of("empty line too many", "5\r\nhello\r\n\r\n"+hiddenInChunks),
		of("newline after the last chunk", "0\n\r\n"+hiddenRequest),
		of("newline for the end", "0\r\n\n"+hiddenRequest),
		of("CR for the end", "0\r\n\r"+hiddenRequest),
		of("no end", "0\r\n"+hiddenRequest),
		of("newline twice", "0\n\n"+hiddenRequest),
		of("trailer with a newline", "0\r\nA: b\nC: d\r\n\r\n"+hiddenRequest),
		of("trailer without colon", "0\r\nA\r\n\r\n"+hiddenRequest),
		of("trailer with a space before the colon", "0\r\nA : b\r\n\r\n"+hiddenRequest),
		of("folded trailer", "0\r\nA: b\r\n c\r\n\r\n"+hiddenRequest),
		of("trailer with NUL", "0\r\nA: \x00\r\n\r\n"+hiddenRequest),
		whole("framing in the trailer", "5\r\nhello\r\n0\r\nContent-Length: 38\r\n\r\n", "hello"),
		whole("coding in the trailer", "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "hello"),
		whole("Host in the trailer", "5\r\nhello\r\n0\r\nHost: other\r\n\r\n", "hello"),
		whole("data like an end", "26\r\n"+hiddenInChunks+"\r\n0\r\n\r\n", hiddenInChunks),
	}
}

// smuggledLineEnds are games with the ends of lines and with white space.
func smuggledLineEnds() []smuggledRequest {
	of := func(name, head string) smuggledRequest {
		return smuggledRequest{name: "line end: " + name, bytes: head + "\r\n" + hiddenInChunks, status: 400}
	}
	const line = "POST /a HTTP/1.1\r\nHost: h\r\n"
	return []smuggledRequest{
		of("newline in a value", line+"X: y\nTransfer-Encoding: chunked\r\n"),
		of("CR in a value", line+"X: y\rTransfer-Encoding: chunked\r\n"),
		of("CR before the end", line+"Transfer-Encoding: chunked\r\r\n"),
		of("newline for the end of a line", line+"Transfer-Encoding: chunked\n"),
		of("newline for the end of the head", line+"Content-Length: 38\r\n\n"),
		of("newlines alone", "POST /a HTTP/1.1\nHost: h\nContent-Length: 38\n\n"),
		of("CR for the end of the head", line+"Content-Length: 38\r\n\rX: y\r\n"),
		of("newline after the request line", "POST /a HTTP/1.1\nHost: h\r\nContent-Length: 38\r\n"),
		of("CR after the request line", "POST /a HTTP/1.1\rHost: h\r\nContent-Length: 38\r\n"),
		of("folded value", line+"X: y\r\n Transfer-Encoding: chunked\r\n"),
		of("value folded by a tab", line+"X: y\r\n\tTransfer-Encoding: chunked\r\n"),
		of("folded first field", "POST /a HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: h\r\n"),
		of("line of white space", line+" \r\nTransfer-Encoding: chunked\r\n"),
		of("space before the head", " "+line+"Content-Length: 38\r\n"),
		of("newline before the head", "\n"+line+"Content-Length: 38\r\n"),
		of("two empty lines before the head", "\r\n\r\n"+line+"Content-Length: 38\r\n"),
		of("NEL for a newline", line+"X\x85Transfer-Encoding: chunked\r\n"),
		{name: "line end: one empty line before the head", bytes: "\r\n" + line + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", body: "hello"},
		{name: "line end: encoded newlines in a value", bytes: line + "Connection: close\r\nX: y%0d%0aContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", body: "hello"},
	}
}

// smuggledNames are games with a field's name.
func smuggledNames() []smuggledRequest {
	var all []smuggledRequest
	for _, name := range []string{"Transfer-Encoding", "Content-Length"} {
		value := map[string]string{"Transfer-Encoding": "chunked", "Content-Length": "38"}[name]
		of := func(how, field string) {
			all = append(all, smuggledRequest{name: "name: " + name + ", " + how, bytes: smuggledPost(field+"\r\n", hiddenInChunks), status: 400})
		}
		of("space before the colon", name+" : "+value)
		of("tab before the colon", name+"\t: "+value)
		of("space before", " "+name+": "+value)
		of("tab before", "\t"+name+": "+value)
		of("NUL after", name+"\x00: "+value)
		of("NUL before", "\x00"+name+": "+value)
		of("vertical tab after", name+"\x0b: "+value)
		of("CR after", name+"\r: "+value)
		of("newline after", name+"\n: "+value)
		of("byte above 127 after", name+"\xa0: "+value)
		of("byte above 127 before", "\xef\xbb\xbf"+name+": "+value)
		of("quoted", "\""+name+"\": "+value)
		of("brackets", name+"[]: "+value)
		of("two words", "X "+name+": "+value)
		of("folded", name+"\r\n : "+value)
		of("no colon", name+" "+value)
		of("colon before", ":"+name+": "+value)
		of("comma", name+",: "+value)
	}
	return append(all, smuggledRequest{name: "name: none", bytes: smuggledPost(": chunked\r\n", hiddenInChunks), status: 400})
}

// smuggledHosts are games with where a request goes.
func smuggledHosts() []smuggledRequest {
	of := func(name, head string) smuggledRequest {
		return smuggledRequest{name: "host: " + name, bytes: head + "\r\n", status: 400}
	}
	return []smuggledRequest{
		of("two", "GET /a HTTP/1.1\r\nHost: h\r\nHost: other\r\n"),
		of("two equal ones", "GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n"),
		of("folded", "GET /a HTTP/1.1\r\nHost: h\r\n Host: other\r\n"),
		of("space before the colon", "GET /a HTTP/1.1\r\nHost: h\r\nHost : other\r\n"),
		of("none", "GET /a HTTP/1.1\r\n"),
		of("empty", "GET /a HTTP/1.1\r\nHost:\r\n"),
		of("list", "GET /a HTTP/1.1\r\nHost: h, other\r\n"),
		of("user", "GET /a HTTP/1.1\r\nHost: h@other\r\n"),
		of("path", "GET /a HTTP/1.1\r\nHost: h/other\r\n"),
		of("query", "GET /a HTTP/1.1\r\nHost: h?other\r\n"),
		of("backslash", "GET /a HTTP/1.1\r\nHost: h\\other\r\n"),
		of("port in words", "GET /a HTTP/1.1\r\nHost: h:other\r\n"),
		of("two ports", "GET /a HTTP/1.1\r\nHost: h:80:81\r\n"),
		of("space within", "GET /a HTTP/1.1\r\nHost: h other\r\n"),
		of("absolute form of another", "GET http://other/a HTTP/1.1\r\nHost: h\r\n"),
		of("absolute form with a user", "GET http://h@other/a HTTP/1.1\r\nHost: h\r\n"),
		of("absolute form without Host", "GET http://h/a HTTP/1.1\r\n"),
		of("absolute form of another scheme", "GET ws://h/a HTTP/1.1\r\nHost: h\r\n"),
		{name: "host: the one of the absolute form", bytes: "GET http://h/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"},
	}
}

// smuggledLines are games with the request line.
func smuggledLines() []smuggledRequest {
	of := func(status int, name, line string) smuggledRequest {
		return smuggledRequest{name: "line: " + name, bytes: line + "\r\nHost: h\r\n\r\n", status: status}
	}
	return []smuggledRequest{
		of(400, "two spaces", "GET  /a HTTP/1.1"),
		of(400, "tab", "GET\t/a HTTP/1.1"),
		of(400, "space in the target", "GET /a"+" "+hiddenTarget+" HTTP/1.1"),
		of(400, "space after the version", "GET /a HTTP/1.1 "),
		of(400, "request in the target", "GET /a HTTP/1.1 "+hiddenTarget+" HTTP/1.1"),
		of(400, "NUL in the target", "GET /a\x00 HTTP/1.1"),
		of(400, "CR in the target", "GET /a\rX HTTP/1.1"),
		of(400, "fragment", "GET /a#b HTTP/1.1"),
		of(400, "no slash", "GET a HTTP/1.1"),
		of(400, "backslash", "GET \\a HTTP/1.1"),
		of(400, "authority", "GET h:80 HTTP/1.1"),
		of(400, "asterisk", "GET * HTTP/1.1"),
		of(501, "CONNECT", "CONNECT h:80 HTTP/1.1"),
		of(400, "method with a NUL", "GE\x00T /a HTTP/1.1"),
		of(400, "method with brackets", "GET[] /a HTTP/1.1"),
		of(400, "no version", "GET /a"),
		of(400, "lower case version", "GET /a http/1.1"),
		of(400, "version without a point", "GET /a HTTP/11"),
		of(400, "version with zeros", "GET /a HTTP/01.01"),
		of(400, "version of three", "GET /a HTTP/1.1.1"),
		of(400, "version with a sign", "GET /a HTTP/+1.1"),
		of(505, "HTTP/1.9", "GET /a HTTP/1.9"),
		of(505, "HTTP/2.0", "GET /a HTTP/2.0"),
		of(505, "HTTP/0.9", "GET /a HTTP/0.9"),
	}
}
