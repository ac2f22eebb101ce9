package message

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

func seedBodies(f *testing.F) {
	for _, test := range bodies {
		f.Add([]byte(test.input), uint8(3))
	}
	for _, test := range badBodies {
		f.Add([]byte(test.input), uint8(5))
	}
}

// FuzzChunked checks that pieces make no difference, and that a body says the
// same once written again.
func FuzzChunked(f *testing.F) {
	seedBodies(f)
	f.Fuzz(func(t *testing.T, input []byte, piece uint8) {
		body, trailer, rest, err := decode(string(input), max(1, len(input)))
		body2, trailer2, rest2, err2 := decode(string(input), int(piece)+1)
		_, refused := err.(*Error)
		_, refused2 := err2.(*Error)
		if body != body2 || refused != refused2 || refused && err != err2 || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %q, %v; in pieces: %q, %v", body, err, body2, err2)
		}
		if err != nil {
			return
		}
		fields := describeFields(trailer)
		if got := describeFields(trailer2); got != fields || rest != rest2 {
			t.Fatalf("whole: %q, %q; in pieces: %q, %q", fields, rest, got, rest2)
		}
		checkSoundFields(t, trailer)
		var written []byte
		for part := []byte(body); len(part) > 0; {
			n := min(len(part), int(piece)+1)
			written = AppendChunkTail(append(AppendChunkHead(written, n), part[:n]...))
			part = part[n:]
		}
		if written, err = AppendLastChunk(written, trailer); err != nil {
			t.Fatal(err)
		}
		body2, trailer2, rest2, err = decode(string(written), len(written))
		if got := describeFields(trailer2); body2 != body || got != fields || rest2 != "" || err != nil {
			t.Errorf("written and read again: got %q, %q, %q, %v, want %q, %q", body2, got, rest2, err, body, fields)
		}
	})
}

// FuzzChunkedLikeNetHTTP looks for bodies that net/http accepts as well, but reads
// as others.
func FuzzChunkedLikeNetHTTP(f *testing.F) {
	seedBodies(f)
	f.Fuzz(func(t *testing.T, input []byte, _ uint8) {
		ours := readBody(chunked, input)
		if !ours.whole {
			return
		}
		whole := append([]byte(chunkedPost), input...)
		source := bytes.NewReader(whole)
		reader := bufio.NewReader(source)
		theirs, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatal(err)
		}
		ours.compare(t, len(chunkedPost), readTheirs(theirs.Body, whole, source, reader))
	})
}
