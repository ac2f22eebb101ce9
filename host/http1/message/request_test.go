package message

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// accepted are requests and what is read of them.
var accepted = []struct{ name, input, want string }{
	{"origin form (RFC 9112, 3.2.1)", "GET /a?b HTTP/1.1\r\nHost: h:80\r\n\r\n", `GET /a?b HTTP/1.1 "h:80" 0`},
	{"paths stay as they are", "GET /a%2f/../b//%20 HTTP/1.1\r\nHost: h\r\n\r\n", `GET /a%2f/../b//%20 HTTP/1.1 "h" 0`},
	{"obs-text in a target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\xc3\xa9 HTTP/1.1 \"h\" 0"},
	{"absolute form (3.2.2)", "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", `GET /a HTTP/1.1 "h" 0 scheme=http`},
	{"absolute form, other case", "GET HTTPS://H/a HTTP/1.1\r\nHost: h\r\n\r\n", `GET /a HTTP/1.1 "H" 0 scheme=https`},
	{"absolute form without path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", `GET / HTTP/1.1 "h" 0 scheme=http`},
	{"absolute form with a query alone", "GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", `GET /?q HTTP/1.1 "h" 0 scheme=http`},
	{"absolute form for all of a server (3.2.4)", "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", `OPTIONS * HTTP/1.1 "h" 0 scheme=http`},
	{"absolute form of HTTP/1.0", "GET http://h/ HTTP/1.0\r\n\r\n", `GET / HTTP/1.0 "h" 0 scheme=http close`},
	{"asterisk form (3.2.4)", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", `OPTIONS * HTTP/1.1 "h" 0`},
	{"IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", `GET / HTTP/1.1 "[::1]:8080" 0`},
	{"any method", "get-IT! / HTTP/1.1\r\nHost: h\r\n\r\n", `get-IT! / HTTP/1.1 "h" 0`},
	{"one empty line before (2.2)", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", `GET / HTTP/1.1 "h" 0`},
	{"what follows is not looked at", "GET / HTTP/1.1\r\nHost: h\r\n\r\n\x00", `GET / HTTP/1.1 "h" 0`},

	{"order and spelling", "GET / HTTP/1.1\r\nB: 2\r\nhOST: h\r\na: x\r\nB: 1\r\n\r\n", `GET / HTTP/1.1 "h" 0|B: 2|a: x|B: 1`},
	{"white space around values (5.1)", "GET / HTTP/1.1\r\nHost:h\r\nA:\t 1\t2 \t\r\nB: \t \r\nC:\r\n\r\n", "GET / HTTP/1.1 \"h\" 0|A: 1\t2|B: |C: "},
	{"obs-text in a value (RFC 9110, 5.5)", "GET / HTTP/1.1\r\nHost: h\r\nA: \x80\xff\r\n\r\n", "GET / HTTP/1.1 \"h\" 0|A: \x80\xff"},
	{"all that a name may have", "GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~09azAZ: 1\r\n\r\n", "GET / HTTP/1.1 \"h\" 0|!#$%&'*+-.^_`|~09azAZ: 1"},

	{"length (6.2)", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", `POST / HTTP/1.1 "h" 5|Content-Length: 5`},
	{"no content", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 000\r\n\r\n", `POST / HTTP/1.1 "h" 0|Content-Length: 000`},
	{"the largest length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775799\r\n\r\n", `POST / HTTP/1.1 "h" 9223372036854775799|Content-Length: 9223372036854775799`},
	{"chunked (6.1)", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", `POST / HTTP/1.1 "h" chunked`},
	{"codings have no case (RFC 9112, 7)", "POST / HTTP/1.1\r\nHost: h\r\nTRANSFER-ENCODING: \tChunKed \r\n\r\n", `POST / HTTP/1.1 "h" chunked`},
	{"trailers are announced", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A, ,Content-Length\r\nTRAILER: b,a\r\n\r\n", `POST / HTTP/1.1 "h" chunked trailer|A: |b: `},
	{"trailers, and other fields", "POST / HTTP/1.1\r\nHost: h\r\nA: 1\r\nTransfer-Encoding: chunked\r\nTrailer: B\r\n\r\n", `POST / HTTP/1.1 "h" chunked|A: 1 trailer|B: `},
	{"trailers without chunks", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTrailer: A\r\n\r\n", `POST / HTTP/1.1 "h" 1|Content-Length: 1`},

	{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", `GET / HTTP/1.0 "" 0 close`},
	{"HTTP/1.0 stays if asked to (9.3)", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", `GET / HTTP/1.0 "" 0`},
	{"close (9.6)", "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Close\r\n\r\n", `GET / HTTP/1.1 "h" 0 close`},
	{"close in a second field", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: x,close\r\n\r\n", `GET / HTTP/1.0 "" 0 close`},
	{"fields of the connection (RFC 9110, 7.6.1)", "GET / HTTP/1.1\r\nHost: h\r\nConnection: x-mine, keep-alive, Host, Content-Length\r\nContent-Length: 0\r\nX-Mine: 1\r\n" +
		"Keep-Alive: 5\r\nTE: trailers, deflate\r\nHTTP2-Settings: a\r\nProxy-Connection: close\r\nProxy-Authorization: b\r\nX-Yours: 2\r\n\r\n",
		`GET / HTTP/1.1 "h" 0|Content-Length: 0|X-Yours: 2|TE: trailers`},
	{"other spellings of framing (RFC 3875, 4.1.18)", "GET / HTTP/1.1\r\nHost: h\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n", `GET / HTTP/1.1 "h" 0`},

	{"upgrade (RFC 9110, 7.8)", "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", `GET / HTTP/1.1 "h" 0 upgrade="websocket"`},
	{"upgrade that Connection lacks", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", `GET / HTTP/1.1 "h" 0`},
	{"upgrade in two fields", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", `GET / HTTP/1.1 "h" 0`},
	{"upgrade to h2c (RFC 9113, 3.1)", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: a, h2c\r\nHTTP2-Settings: x\r\n\r\n", `GET / HTTP/1.1 "h" 0`},
	{"upgrade with a body", "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n", `POST / HTTP/1.1 "h" 1|Content-Length: 1`},
	{"upgrade with chunks", "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n", `POST / HTTP/1.1 "h" chunked`},
	{"upgrade in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", `GET / HTTP/1.0 "" 0 close`},

	{"expectation (RFC 9110, 10.1.1)", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", `POST / HTTP/1.1 "h" 1 continue|Expect: 100-Continue|Content-Length: 1`},
	{"expectation without content", "GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", `GET / HTTP/1.1 "h" 0|Expect: 100-continue`},
	{"expectation of HTTP/1.0", "POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", `POST / HTTP/1.0 "" 1 close|Content-Length: 1`},
}

// refused are requests that are not let in, and why.
var refused = []struct {
	name, input string
	want        *Error
}{
	{"no request line", "\r\n\r\n", ErrMethod},
	{"two empty lines before (2.2)", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"LF before", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrBareLF},
	{"CR before", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrBareCR},
	{"space before", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"no method", "/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"method with a control character", "G\x00T / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"method with a colon", "GET: / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"TLS", "\x16\x03\x01\x02", ErrMethod},
	{"tab after the method", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"two spaces after the method", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", ErrConnect},
	{"space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", ErrVersion},
	{"tab in the target", "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"NUL in the target", "GET /a\x00 HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"DEL in the target", "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"CR in the target", "GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"LF in the target", "GET /a\nb HTTP/1.1\r\nHost: h\r\n\r\n", ErrBareLF},
	{"fragment (3.2)", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"relative path", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"authority form (3.2.3)", "GET h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", ErrTarget},
	{"asterisk form of GET (3.2.4)", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"more than an asterisk", "OPTIONS *a HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"absolute form, other scheme (3.2.2)", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"absolute form, Unicode scheme", "GET http\u017f://h/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"absolute form with a user", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"absolute form without a host", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"absolute form without slashes", "GET http:h/a HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"absolute form with a backslash", "GET http://h\\a HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},

	{"HTTP/0.9", "GET /\r\n", ErrTarget},
	{"no version", "GET / \r\nHost: h\r\n\r\n", ErrVersion},
	{"lower case version (2.3)", "GET / http/1.1\r\nHost: h\r\n\r\n", ErrVersion},
	{"version of one number", "GET / HTTP/1\r\nHost: h\r\n\r\n", ErrVersion},
	{"version of three numbers", "GET / HTTP/1.1.1\r\nHost: h\r\n\r\n", ErrVersion},
	{"version with zeros", "GET / HTTP/01.1\r\nHost: h\r\n\r\n", ErrVersion},
	{"version of two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", ErrVersion},
	{"space after the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", ErrVersion},
	{"LF after the version", "GET / HTTP/1.1\nHost: h\r\n\r\n", ErrBareLF},
	{"CR after the version", "GET / HTTP/1.1\rHost: h\r\n\r\n", ErrBareCR},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", ErrUnknownVersion},
	{"HTTP/0.9, said", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", ErrUnknownVersion},
	{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", ErrUnknownVersion},
	{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrUnknownVersion},

	{"white space before the first field (2.2)", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", ErrFolded},
	{"folded value (5.2)", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\n 2\r\n\r\n", ErrFolded},
	{"folded by a tab", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\n\t2\r\n\r\n", ErrFolded},
	{"line of white space", "GET / HTTP/1.1\r\nHost: h\r\n \r\n\r\n", ErrFolded},
	{"space before a colon (5.1)", "GET / HTTP/1.1\r\nHost: h\r\nA : 1\r\n\r\n", ErrNameSpace},
	{"tab before a colon", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding\t: chunked\r\n\r\n", ErrNameSpace},
	{"space in a name", "GET / HTTP/1.1\r\nHost: h\r\nA b: 1\r\n\r\n", ErrNameSpace},
	{"no name", "GET / HTTP/1.1\r\nHost: h\r\n: 1\r\n\r\n", ErrEmptyName},
	{"no colon", "GET / HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", ErrNoColon},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: h\r\nA\x00: 1\r\n\r\n", ErrName},
	{"NUL before a name", "GET / HTTP/1.1\r\nHost: h\r\n\x00A: 1\r\n\r\n", ErrName},
	{"obs-text in a name", "GET / HTTP/1.1\r\nHost: h\r\n\xc3\xa9: 1\r\n\r\n", ErrName},
	{"vertical tab before a colon", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length\x0b: 1\r\n\r\n", ErrName},
	{"CR in a name", "GET / HTTP/1.1\r\nHost: h\r\nA\rB: 1\r\n\r\n", ErrBareCR},
	{"LF in a name", "GET / HTTP/1.1\r\nHost: h\r\nA\nB: 1\r\n\r\n", ErrBareLF},
	{"CR before a colon", "GET / HTTP/1.1\r\nHost: h\r\nA\r: 1\r\n\r\n", ErrBareCR},
	{"NUL in a value (RFC 9110, 5.5)", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", ErrValue},
	{"control character in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x1bb\r\n\r\n", ErrValue},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: abcdefgh\x7f\r\n\r\n", ErrValue},
	{"vertical tab before a value", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", ErrValue},
	{"form feed after a value", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\x0c\r\n\r\n", ErrValue},
	{"CR in a value (2.2)", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", ErrBareCR},
	{"two CRs", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\r\n\r\n", ErrBareCR},
	{"LF in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\nB: 1\r\n\r\n", ErrBareLF},
	{"LF for the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", ErrBareLF},
	{"CR for the end", "GET / HTTP/1.1\r\nHost: h\r\n\rA: 1\r\n\r\n", ErrBareCR},

	{"no Host (3.2)", "GET / HTTP/1.1\r\n\r\n", ErrNoHost},
	{"no Host beside an absolute form", "GET http://h/ HTTP/1.1\r\n\r\n", ErrNoHost},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ErrHost},
	{"empty Host of HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", ErrHost},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", ErrHosts},
	{"two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", ErrHosts},
	{"list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", ErrHost},
	{"user in Host", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", ErrHost},
	{"path in Host", "GET / HTTP/1.1\r\nHost: h/p\r\n\r\n", ErrHost},
	{"port in words", "GET / HTTP/1.1\r\nHost: h:http\r\n\r\n", ErrHost},
	{"Host is not the target's (3.2.2)", "GET http://h/ HTTP/1.1\r\nHost: other\r\n\r\n", ErrOtherHost},
	{"Host is not the target's by its port", "GET http://h/ HTTP/1.1\r\nHost: h:80\r\n\r\n", ErrOtherHost},
	{"Host of HTTP/1.0 is not the target's", "GET http://h/ HTTP/1.0\r\nHost: other\r\n\r\n", ErrOtherHost},

	{"two lengths (6.3)", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", ErrLengths},
	{"two equal lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", ErrLengths},
	{"list of equal lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", ErrLength},
	{"signed length (RFC 9110, 8.6)", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\n", ErrLength},
	{"negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -0\r\n\r\n", ErrLength},
	{"space in a length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 0\r\n\r\n", ErrLength},
	{"tab in a length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\t0\r\n\r\n", ErrLength},
	{"hexadecimal length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x10\r\n\r\n", ErrLength},
	{"empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", ErrLength},
	{"fraction", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1.0\r\n\r\n", ErrLength},
	{"quoted length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \"1\"\r\n\r\n", ErrLength},
	{"digits of another script", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \u0661\r\n\r\n", ErrLength},
	{"length beyond 63 bits", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", ErrLength},
	{"length beyond 64 bits", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551617\r\n\r\n", ErrLength},
	{"bad length of GET", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", ErrLength},

	{"CL.TE (6.1)", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", ErrBothFramed},
	{"TE.CL", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", ErrBothFramed},
	{"TE and a length of 0", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", ErrBothFramed},
	{"TE.TE", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ErrNotChunked},
	{"TE.TE, the second unknown", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n", ErrNotChunked},
	{"TE.TE, the first unknown", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCoding},
	{"chunked twice (6.3)", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", ErrNotChunked},
	{"chunked is not the last", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", ErrNotChunked},
	{"chunked and nothing", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked,\r\n\r\n", ErrNotChunked},
	{"nothing and chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: , chunked\r\n\r\n", ErrNotChunked},
	{"no coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", ErrNotChunked},
	{"chunked with a parameter (7.1)", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", ErrNotChunked},
	{"quoted", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", ErrNotChunked},
	{"two words", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked x\r\n\r\n", ErrNotChunked},
	{"another word", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", ErrCoding},
	{"a letter that folds to k", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chun\u212aed\r\n\r\n", ErrNotChunked},
	{"identity", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", ErrCoding},
	{"gzip before chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ErrCoding},
	{"chunked in HTTP/1.0 (6.1)", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ErrOldCoding},

	{"another expectation (RFC 9110, 10.1.1)", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n", ErrExpect},
	{"two expectations", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", ErrExpect},
}

func TestRequestsAreRead(t *testing.T) {
	for _, test := range accepted {
		got, size, err := parseRequest(test.input, Limits{})
		if err != nil || got != test.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", test.name, got, err, test.want)
		}
		if want := len(trimZero(test.input)); size != want {
			t.Errorf("%s: size: got %d, want %d", test.name, size, want)
		}
	}
}

// trimZero cuts what stands behind a head in the table.
func trimZero(s string) string {
	if s[len(s)-1] == 0 {
		return s[:len(s)-1]
	}
	return s
}

func TestRequestsAreRefused(t *testing.T) {
	for _, test := range refused {
		if got, _, err := parseRequest(test.input, Limits{}); err != error(test.want) {
			t.Errorf("%s: got %q, %v, want %v", test.name, got, err, test.want)
		}
	}
}

// Whatever the pieces are that a request comes in, and wherever the buffer
// moves meanwhile, it is read as if it came whole.
func TestRequestsInPieces(t *testing.T) {
	inputs := []string{wrkRequest, browserRequest}
	for _, test := range accepted {
		inputs = append(inputs, test.input)
	}
	for _, test := range refused {
		inputs = append(inputs, test.input)
	}
	for _, input := range inputs {
		checkRequestInPieces(t, input, Limits{})
	}
}

func TestHeadLimits(t *testing.T) {
	const head = "GET /abc HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n"
	for _, test := range []struct {
		name   string
		limits Limits
		want   error
	}{
		{"none", Limits{}, nil},
		{"exact", Limits{len(head), 3}, nil},
		{"a byte too many", Limits{len(head) - 1, 3}, ErrTooLarge},
		{"a field too many", Limits{len(head), 2}, ErrTooMany},
		{"within the method", Limits{2, 0}, ErrMethodTooLong},
		{"within the target", Limits{6, 0}, ErrTargetTooLong},
		{"within the version", Limits{12, 0}, ErrTargetTooLong},
		{"after the line", Limits{19, 0}, ErrTooLarge},
	} {
		if _, _, err := parseRequest(head, test.limits); err != test.want {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		checkRequestInPieces(t, head, test.limits)
	}
}

// A head that comes byte by byte is looked at once, and not from its start again
// with each of them.
func TestNoByteIsLookedAtTwice(t *testing.T) {
	head := []byte("GET /" + strings.Repeat("a", 1000) + " HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("n", 1000) + ":" +
		strings.Repeat(" ", 1000) + strings.Repeat("v", 1000) + "\r\n\r\n")
	var p RequestParser
	r := RequestHead{Header: &exchange.Header{}}
	for n := 1; n < len(head); n++ {
		if size, err := p.Parse(head[:n], &Limits{}, &r); size != 0 || err != nil {
			t.Fatal(n, size, err)
		}
		// A version and an end of line are looked at whole.
		if missing := n - p.fields.pos; missing > len("HTTP/1.1\r\n") {
			t.Fatalf("of %d bytes %d are to be looked at again", n, missing)
		}
	}
}

func TestManyAnnouncedTrailers(t *testing.T) {
	var names strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&names, "x%d,", i)
	}
	var p RequestParser
	r := RequestHead{Header: &exchange.Header{}, Trailer: header("Old", "")}
	_, err := p.Parse([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: "+names.String()+"\r\n\r\n"), &Limits{}, &r)
	if err != nil || r.Trailer.Len() != maxAnnounced || r.Trailer.Has("old") {
		t.Errorf("got %d trailers, %v", r.Trailer.Len(), err)
	}
}
