package tier

import (
	"io"
	"testing"
	"testing/iotest"
)

// once is a body that must not be read beyond its end.
type once struct {
	io.Reader
	t     *testing.T
	ended bool
}

func (o *once) Read(p []byte) (int, error) {
	if o.ended {
		o.t.Error("the body is read again after its end")
	}
	n, err := o.Reader.Read(p)
	o.ended = err != nil
	return n, err
}

func (*once) Close() error { return nil }

// Who has read a body to its end may read what was kept again, and meets the same
// end without asking the body.
func TestKeptBodyEndsOnce(t *testing.T) {
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF} {
		k := &keptBody{max: 100, body: &once{t: t, Reader: io.MultiReader(
			&io.LimitedReader{R: iotest.OneByteReader(constant('a')), N: 10}, iotest.ErrReader(broken))}}
		for range 3 {
			var got []byte
			var p [4]byte
			for {
				n, err := k.Read(p[:])
				got = append(got, p[:n]...)
				if err == nil {
					continue
				}
				if string(got) != "aaaaaaaaaa" || err != broken {
					t.Errorf("got %q, %v, want 10 bytes and %v", got, err, broken)
				}
				break
			}
			k.rewind()
		}
	}
}

// constant is a reader of one byte again and again.
type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}
