package smuggling

import "strings"

// chunkSizes are games with a chunk's first line.
func chunkSizes() []Request {
	of := func(status int, name, size string) Request {
		return Request{Name: "chunk size: " + name, Bytes: body(size + "\r\n" + strings.Repeat("x", 5) + "\r\n" + inChunks), Status: status}
	}
	whole := func(name, size string) Request {
		return Request{Name: "chunk size: " + name, Bytes: post("Connection: close\r\nTransfer-Encoding: chunked\r\n", size+"\r\nhello\r\n0\r\n\r\n"), Body: "hello"}
	}
	return []Request{
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

// chunkEnds are games with what ends chunks and the body.
func chunkEnds() []Request {
	of := func(name, chunks string) Request {
		return Request{Name: "chunk end: " + name, Bytes: body(chunks), Status: 400}
	}
	whole := func(name, chunks, data string) Request {
		return Request{Name: "chunk end: " + name, Bytes: post("Connection: close\r\nTransfer-Encoding: chunked\r\n", chunks), Body: data}
	}
	return []Request{
		of("newline after a size", "5\nhello\r\n"+inChunks),
		of("CR after a size", "5\rhello\r\n"+inChunks),
		of("two CRs after a size", "5\r\r\nhello\r\n"+inChunks),
		of("newline after data", "5\r\nhello\n"+inChunks),
		of("CR after data", "5\r\nhello\r"+inChunks),
		of("any two bytes after data", "5\r\nhelloXX"+inChunks),
		of("nothing after data", "5\r\nhello"+inChunks),
		of("a byte too many", "5\r\nhello!\r\n"+inChunks),
		of("empty line too many", "5\r\nhello\r\n\r\n"+inChunks),
		of("newline after the last chunk", "0\n\r\n"+hidden),
		of("newline for the end", "0\r\n\n"+hidden),
		of("CR for the end", "0\r\n\r"+hidden),
		of("no end", "0\r\n"+hidden),
		of("newline twice", "0\n\n"+hidden),
		of("trailer with a newline", "0\r\nA: b\nC: d\r\n\r\n"+hidden),
		of("trailer without colon", "0\r\nA\r\n\r\n"+hidden),
		of("trailer with a space before the colon", "0\r\nA : b\r\n\r\n"+hidden),
		of("folded trailer", "0\r\nA: b\r\n c\r\n\r\n"+hidden),
		of("trailer with NUL", "0\r\nA: \x00\r\n\r\n"+hidden),
		whole("framing in the trailer", "5\r\nhello\r\n0\r\nContent-Length: 38\r\n\r\n", "hello"),
		whole("coding in the trailer", "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "hello"),
		whole("Host in the trailer", "5\r\nhello\r\n0\r\nHost: other\r\n\r\n", "hello"),
		whole("data like an end", "26\r\n"+inChunks+"\r\n0\r\n\r\n", inChunks),
	}
}

// lineEnds are games with the ends of lines and with white space.
func lineEnds() []Request {
	of := func(name, head string) Request {
		return Request{Name: "line end: " + name, Bytes: head + "\r\n" + inChunks, Status: 400}
	}
	const line = "POST /a HTTP/1.1\r\nHost: h\r\n"
	return []Request{
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
		{Name: "line end: one empty line before the head", Bytes: "\r\n" + line + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", Body: "hello"},
		{Name: "line end: encoded newlines in a value", Bytes: line + "Connection: close\r\nX: y%0d%0aContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", Body: "hello"},
	}
}

// names are games with a field's name.
func names() []Request {
	var all []Request
	for _, name := range []string{"Transfer-Encoding", "Content-Length"} {
		value := map[string]string{"Transfer-Encoding": "chunked", "Content-Length": "38"}[name]
		of := func(how, field string) {
			all = append(all, Request{Name: "name: " + name + ", " + how, Bytes: post(field+"\r\n", inChunks), Status: 400})
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
	return append(all, Request{Name: "name: none", Bytes: post(": chunked\r\n", inChunks), Status: 400})
}

// hosts are games with where a request goes.
func hosts() []Request {
	of := func(name, head string) Request {
		return Request{Name: "host: " + name, Bytes: head + "\r\n", Status: 400}
	}
	return []Request{
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
		{Name: "host: the one of the absolute form", Bytes: "GET http://h/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"},
	}
}

// lines are games with the request line.
func lines() []Request {
	of := func(status int, name, line string) Request {
		return Request{Name: "line: " + name, Bytes: line + "\r\nHost: h\r\n\r\n", Status: status}
	}
	return []Request{
		of(400, "two spaces", "GET  /a HTTP/1.1"),
		of(400, "tab", "GET\t/a HTTP/1.1"),
		of(400, "space in the target", "GET /a"+" "+Hidden+" HTTP/1.1"),
		of(400, "space after the version", "GET /a HTTP/1.1 "),
		of(400, "request in the target", "GET /a HTTP/1.1 "+Hidden+" HTTP/1.1"),
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
