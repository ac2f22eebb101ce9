package policies

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
)

// decoders are of other makers.
var decoders = map[string]func(io.Reader) (io.Reader, error){
	"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	"zstd": func(r io.Reader) (io.Reader, error) {
		// As much as clients of HTTP have to keep (RFC 9659), and decoded as it is read.
		return zstd.NewReader(r, zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderConcurrency(1))
	},
}

// compressed begins an exchange whose response a client asks for in a coding.
func compressed(t testing.TB, line *tier.Tier, coding string, body io.ReadCloser) (x *exchange.Exchange, done func()) {
	t.Helper()
	x = &exchange.Exchange{ID: "compress", Conn: &exchange.Conn{}}
	x.Request = exchange.Request{Method: "GET", Scheme: "https", Authority: "example.com", Target: "/", Version: exchange.HTTP11}
	x.Request.Header.Add("accept-encoding", coding)
	walk := new(tier.Walk)
	if f := line.Enter(x); f != nil {
		t.Fatal(f)
	}
	if answered, f := line.Request(walk, x); answered || f != nil {
		t.Fatal(answered, f)
	}
	x.Route.Sent = true
	x.Response.Status, x.Response.Version = 200, exchange.HTTP11
	x.Response.Header.Add("content-type", "text/event-stream")
	x.Response.Body, x.Response.Length = body, exchange.UnknownLength
	line.Response(walk, x)
	return x, func() { line.Done(walk, x); line.Leave(x) }
}

// TestCompressKeepsEveryByte has bodies of all sizes, cut anywhere, decoded by others.
func TestCompressKeepsEveryByte(t *testing.T) {
	s := newSuite(t, "compress")
	line := s.Alone(t, s.Load(t, "example", s.Artifact.File.Example))
	random := rand.New(rand.NewPCG(1, 2))
	for coding, decode := range decoders {
		for _, size := range []int{0, 1, 1000, 16 << 10, 16<<10 + 1, 300_000} {
			text := prose(random, size)
			for _, most := range []int{size + 1, 1 + size/7} {
				x, done := compressed(t, line, coding, &inPieces{pieces: pieces(random, text, most)})
				if got, _ := x.Response.Header.Get("content-encoding"); got != coding {
					t.Fatalf("%s: got content-encoding %q", coding, got)
				}
				sent, err := io.ReadAll(x.Response.Body)
				done()
				if err != nil {
					t.Fatal(err)
				}
				plain, err := decode(bytes.NewReader(sent))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(plain)
				if err != nil || string(got) != text {
					t.Errorf("%s: %d bytes in pieces of %d: got %d back, %v", coding, size, most, len(got), err)
				}
				if size > 100_000 && len(sent) > size/2 {
					t.Errorf("%s: %d bytes became %d", coding, size, len(sent))
				}
			}
		}
	}
}

// prose makes text that can be compressed, and some that cannot.
func prose(random *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":%d,"name":"item %d","tags":["a","b"]}`+"\n", random.IntN(1000), b.Len())
	}
	return b.String()[:size]
}

func pieces(random *rand.Rand, text string, most int) (list []string) {
	for len(text) > 0 {
		n := min(1+random.IntN(most), len(text))
		list, text = append(list, text[:n]), text[n:]
	}
	return list
}

// TestCompressFlushesEvents: a client reads each event before the next one is there.
func TestCompressFlushesEvents(t *testing.T) {
	s := newSuite(t, "compress")
	line := s.Alone(t, s.Load(t, "example", s.Artifact.File.Example))
	for coding, decode := range decoders {
		said, upstream := io.Pipe()
		x, done := compressed(t, line, coding, said)
		go func() { _, _ = io.WriteString(upstream, "data: 0\n\n") }()
		plain, err := decode(x.Response.Body)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			event := make([]byte, len("data: 0\n\n"))
			if _, err := io.ReadFull(plain, event); err != nil || string(event) != fmt.Sprintf("data: %d\n\n", n) {
				t.Fatalf("%s: got %q, %v", coding, event, err)
			}
			next := fmt.Sprintf("data: %d\n\n", n+1)
			go func() { _, _ = io.WriteString(upstream, next) }()
		}
		if err := said.Close(); err != nil {
			t.Error(err)
		}
		done()
	}
}

// zeros is an endless body, of which it counts what was read.
type zeros struct{ read int }

func (z *zeros) Read(to []byte) (int, error) {
	clear(to)
	z.read += len(to)
	return len(to), nil
}

func (z *zeros) Close() error { return nil }

// An endless response passes in the same memory as its beginning. Responses for which an
// instance has no room take the next coding, and pass as they are when there is none.
func TestCompressIsBounded(t *testing.T) {
	s := newSuite(t, "compress")
	p := s.Load(t, "example", s.Artifact.File.Example)
	line := s.Alone(t, p)
	for coding := range decoders {
		endless := new(zeros)
		x, done := compressed(t, line, coding, endless)
		for endless.read < 1<<20 {
			readSome(t, x.Response.Body)
		}
		before := p.Stats().MemoryBytes
		for endless.read < 64<<20 {
			readSome(t, x.Response.Body)
		}
		if after := p.Stats().MemoryBytes; after > before+1<<20 {
			t.Errorf("%s: %d bytes after 1 MiB, %d after 64", coding, before, after)
		}
		done()
	}
	codings := make(map[string]int)
	for range 200 {
		x, done := compressed(t, line, "gzip, zstd", new(zeros))
		defer done()
		readSome(t, x.Response.Body)
		coding, _ := x.Response.Header.Get("content-encoding")
		codings[coding]++
	}
	if codings["zstd"] == 0 || codings["gzip"] == 0 || codings[""] == 0 {
		t.Errorf("got %v, want some of each and some as they are", codings)
	}
	t.Logf("%v in %d bytes", codings, p.Stats().MemoryBytes)
}

func readSome(t *testing.T, body io.Reader) {
	t.Helper()
	if _, err := body.Read(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
}

// Trailers follow on a body that did not know its end.
func TestCompressEndsBeforeTrailers(t *testing.T) {
	s := newSuite(t, "compress")
	line := s.Alone(t, s.Load(t, "example", s.Artifact.File.Example))
	for coding, decode := range decoders {
		x, done := compressed(t, line, coding, &inPieces{pieces: []string{"one ", "two"}})
		x.Response.Trailer.Add("x-sum", "7")
		plain, err := decode(x.Response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(plain); err != nil || string(got) != "one two" {
			t.Errorf("%s: got %q, %v", coding, got, err)
		}
		done()
	}
}

// BenchmarkCompress is what a response of 64 KiB costs.
func BenchmarkCompress(b *testing.B) {
	s := newSuite(b, "compress")
	line := s.Alone(b, s.Load(b, "example", s.Artifact.File.Example))
	text := prose(rand.New(rand.NewPCG(1, 2)), 64<<10)
	for coding := range decoders {
		b.Run(coding, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				x, done := compressed(b, line, coding, io.NopCloser(strings.NewReader(text)))
				read(b, x.Response.Body)
				done()
			}
		})
	}
}
