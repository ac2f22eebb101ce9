package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// bodies are chunked bodies and what is read of them.
var bodies = []struct{ name, input, body, trailer string }{
	{"empty", "0\r\n\r\n", "", ""},
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"several", "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world", ""},
	{"digits in any case (RFC 9112, 7.1)", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
	{"zeros", "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello", ""},
	{"data like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n", ""},
	{"extensions (7.1.1)", "5;a=b;c=\"d;\\\"\\\\,\t\xff\";e ; f = g\r\nhello\r\n0;a\r\n\r\n", "hello", ""},
	{"trailers (7.1.2)", "0\r\nA: 1\r\nb:\r\n\r\n", "", "|A: 1|b: "},
	{"trailers that are none (RFC 9110, 6.5.1)", "0\r\nHost: a\r\nContent-Length: 5\r\nX: 1\r\nTransfer-Encoding: chunked\r\nContent_Length: 3\r\nAuthorization: x\r\nConnection: X\r\n\r\n", "", "|X: 1"},
	{"trailers that would frame badly", "0\r\nContent-Length: x\r\nContent-Length: 1\r\nTransfer-Encoding: cow\r\nExpect: x\r\nX: 1\r\n\r\n", "", "|X: 1"},
	{"what follows is not looked at", "0\r\n\r\n\x00", "", ""},
}

// badBodies are refused, and why.
var badBodies = []struct {
	name, input string
	want        *Error
}{
	{"no size", "\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"space before", " 5\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"space after", "5 \r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"tab after", "5\t\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"prefix", "0x5\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"plus", "+5\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"minus", "-5\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"underscore", "1_0\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"no digit", "g\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"comma", "5,5\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"NUL", "5\x00\r\nhello\r\n0\r\n\r\n", ErrChunkSize},
	{"beyond 63 bits", "8000000000000000\r\n", ErrChunkRange},
	{"beyond 64 bits", "10000000000000005\r\n", ErrChunkRange},
	{"17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", ErrChunkRange},
	{"LF after the size (2.2)", "5\nhello\r\n0\r\n\r\n", ErrBareLF},
	{"CR after the size", "5\rhello\r\n0\r\n\r\n", ErrBareCR},
	{"two CRs after the size", "5\r\r\nhello\r\n0\r\n\r\n", ErrBareCR},
	{"LF in an extension", "5;a\nhello\r\n0\r\n\r\n", ErrBareLF},
	{"CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", ErrBareCR},
	{"NUL in an extension", "5;a\x00\r\nhello\r\n0\r\n\r\n", ErrExtension},
	{"CRLF in quotes", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", ErrExtension},
	{"LF in quotes", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", ErrBareLF},
	{"CR after a backslash", "5;a=\"\\\r\n\"\r\nhello\r\n0\r\n\r\n", ErrExtension},
	{"separator in an extension", "5;a,b\r\nhello\r\n0\r\n\r\n", ErrExtension},
	{"long extension", "5;" + strings.Repeat("a", maxExtensions+1), ErrExtensions},
	{"extensions without end", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 20), ErrExtensions},
	{"more data than said", "5\r\nhello!\r\n0\r\n\r\n", ErrChunkEnd},
	{"less data than said", "6\r\nhello\r\n0\r\n\r\n", ErrChunkEnd},
	{"LF after data", "5\r\nhello\n0\r\n\r\n", ErrChunkEnd},
	{"CR after data", "5\r\nhello\r0\r\n\r\n", ErrChunkEnd},
	{"no end of data", "5\r\nhello0\r\n\r\n", ErrChunkEnd},
	{"LF after the last chunk", "0\n\r\n", ErrBareLF},
	{"LF for the end", "0\r\n\n", ErrBareLF},
	{"CR for the end", "0\r\n\rX", ErrBareCR},
	{"another request for the end", "0\r\nGET / HTTP/1.1\r\n\r\n", ErrNameSpace},
	{"folded trailer", "0\r\nA: 1\r\n 2\r\n\r\n", ErrFolded},
	{"trailer with NUL", "0\r\nA: \x00\r\n\r\n", ErrValue},
	{"trailer without a name", "0\r\n: 1\r\n\r\n", ErrEmptyName},
	{"too many trailers", "0\r\n" + strings.Repeat("A: 1\r\n", 9) + "\r\n", ErrTooMany},
	{"too large trailers", "0\r\nA: " + strings.Repeat("a", 300) + "\r\n\r\n", ErrTooLarge},
}

var trailerLimits = Limits{HeaderBytes: 256, HeaderCount: 8}

// decode reads a body that comes in pieces of a size, into a buffer that is
// overwritten with each.
func decode(input string, piece int) (body string, trailer *exchange.Header, rest string, err error) {
	trailer = &exchange.Header{}
	trailer.Add("Announced", "")
	d := ChunkDecoder{Limits: trailerLimits, Trailer: trailer}
	var data, buf []byte
	for {
		n := min(piece, len(input))
		next := append(bytes.Clone(buf), input[:n]...)
		for i := range buf {
			buf[i] = '?'
		}
		buf, input = next, input[n:]
		for {
			consumed, part, done, err := d.Next(buf)
			data = append(data, part...)
			buf = buf[consumed:]
			if err != nil || done {
				return string(data), trailer, string(buf) + input, err
			}
			if len(part) == 0 {
				break
			}
		}
		if len(input) == 0 {
			return string(data), trailer, string(buf), fmt.Errorf("not done, %d bytes of data missing", d.Left())
		}
	}
}

func TestChunkedBodiesAreRead(t *testing.T) {
	for _, test := range bodies {
		for piece := 1; piece <= len(test.input); piece++ {
			body, trailer, rest, err := decode(test.input, piece)
			if got := describeFields(trailer); err != nil || body != test.body || got != test.trailer {
				t.Errorf("%s, in pieces of %d: got %q, %q, %v, want %q, %q", test.name, piece, body, got, err, test.body, test.trailer)
			}
			if want := test.input[len(trimZero(test.input)):]; rest != want {
				t.Errorf("%s: rest: got %q, want %q", test.name, rest, want)
			}
		}
	}
}

func TestChunkedBodiesAreRefused(t *testing.T) {
	for _, test := range badBodies {
		for piece := 1; piece <= len(test.input); piece += 1 + piece/20 {
			if body, _, _, err := decode(test.input, piece); err != error(test.want) {
				t.Errorf("%s, in pieces of %d: got %q, %v, want %v", test.name, piece, body, err, test.want)
			}
		}
	}
}

func TestChunkDataReadPastTheDecoder(t *testing.T) {
	var d ChunkDecoder
	if _, _, _, err := d.Next([]byte("7fffffffffffffff\r\n")); err != nil || d.Left() != 1<<63-1 {
		t.Fatalf("got %d left, %v", d.Left(), err)
	}
	d.Skip(1<<63 - 3)
	consumed, data, done, err := d.Next([]byte("ab\r\n0\r\n\r\nrest"))
	if consumed != 2 || string(data) != "ab" || done || err != nil || d.Left() != 0 {
		t.Fatalf("got %d, %q, %v, %v, %d left", consumed, data, done, err, d.Left())
	}
	consumed, data, done, err = d.Next([]byte("\r\n0\r\n\r\nrest"))
	if consumed != 7 || len(data) != 0 || !done || err != nil {
		t.Fatalf("got %d, %q, %v, %v", consumed, data, done, err)
	}
	if consumed, data, done, err := d.Next([]byte("rest")); consumed != 0 || len(data) != 0 || !done || err != nil {
		t.Fatalf("behind the end: got %d, %q, %v, %v", consumed, data, done, err)
	}
	d.Reset(nil)
	if consumed, _, done, err := d.Next([]byte("0\r\n\r\n")); consumed != 5 || !done || err != nil {
		t.Fatalf("after Reset: got %d, %v, %v", consumed, done, err)
	}
}

// Extensions that data makes up for may go on for ever.
func TestExtensionsOfLargeChunks(t *testing.T) {
	input := strings.Repeat("400;signature="+strings.Repeat("f", 64)+"\r\n"+strings.Repeat("x", 1024)+"\r\n", 1000) + "0\r\n\r\n"
	if body, _, _, err := decode(input, 4096); err != nil || len(body) != 1000*1024 {
		t.Errorf("got %d bytes, %v", len(body), err)
	}
}

func TestChunksAllocateNothing(t *testing.T) {
	input := []byte("400;a=b\r\n" + strings.Repeat("x", 1024) + "\r\n5\r\nhello\r\n0\r\n\r\n")
	var d ChunkDecoder
	var store [16]byte
	trailer := &exchange.Header{}
	if n := testing.AllocsPerRun(100, func() {
		d.Reset(trailer)
		for rest, done := input, false; !done; {
			consumed, _, end, err := d.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest, done = rest[consumed:], end
		}
		if _, err := AppendLastChunk(AppendChunkHead(store[:0], 1<<20), trailer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkChunked(b *testing.B) {
	for _, size := range []int{16, 1024, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			const chunks = 16
			var input []byte
			for range chunks {
				input = AppendChunkTail(append(AppendChunkHead(input, size), make([]byte, size)...))
			}
			input, _ = AppendLastChunk(input, nil)
			var d ChunkDecoder
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				d.Reset(nil)
				for rest, done := input, false; !done; {
					consumed, _, end, err := d.Next(rest)
					if err != nil {
						b.Fatal(err)
					}
					rest, done = rest[consumed:], end
				}
			}
		})
	}
}
