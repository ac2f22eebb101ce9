package capability

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// slice is a part of an entry's body.
type slice struct {
	entry          *cache.Entry
	offset, length int64
}

const (
	sliceBytes = 20
	maxSlices  = cache.MaxVariants
)

func serveCache(ctx context.Context, _ api.Module, stack []uint64) {
	v := cacheOf(ctx)
	e := v.entry(stack[0])
	offset, length := int64(stack[2]), int64(stack[3])
	switch {
	case e == nil:
		stack[0] = notFound
		return
	case offset < 0 || offset > e.Size || length < -1:
		stack[0] = badArgument
		return
	}
	if length < 0 || length > e.Size-offset {
		length = e.Size - offset
	}
	one := [1]slice{{e, offset, length}}
	stack[0] = v.serve(wasm.CallOf(ctx).Visit, e, int(uint32(stack[1])), one[:], e.Trailer)
}

func composeCache(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	e := v.entry(stack[0])
	list := read(mod, stack[2], stack[3])
	if e == nil {
		stack[0] = notFound
		return
	}
	if len(list)%sliceBytes != 0 || len(list) > maxSlices*sliceBytes {
		stack[0] = badArgument
		return
	}
	slices := make([]slice, 0, len(list)/sliceBytes)
	for ; len(list) > 0; list = list[sliceBytes:] {
		s := slice{
			entry:  v.entry(uint64(binary.LittleEndian.Uint32(list))),
			offset: int64(binary.LittleEndian.Uint64(list[4:])),
			length: int64(binary.LittleEndian.Uint64(list[12:])),
		}
		switch {
		case s.entry == nil:
			stack[0] = notFound
			return
		case s.offset < 0 || s.offset > s.entry.Size || s.length < 0 || s.length > s.entry.Size-s.offset:
			stack[0] = badArgument
			return
		}
		slices = append(slices, s)
	}
	stack[0] = v.serve(wasm.CallOf(ctx).Visit, e, int(uint32(stack[1])), slices, nil)
}

// serve makes the response of the fields of an entry and of slices.
func (v *cacheVisit) serve(visit wasm.Visit, e *cache.Entry, code int, slices []slice, trailer []exchange.Field) status {
	if code < 200 || code > 599 {
		return badArgument
	}
	r := &v.ready
	*r = exchange.Response{Status: code, Header: e.Header}
	for _, f := range trailer {
		r.Trailer.Add(f.Name, f.Value)
	}
	for _, s := range slices {
		r.Length += s.length
	}
	bare := v.x.Request.Method == "HEAD"
	if code == 304 || code == 204 {
		bare, r.Length = true, 0
	}
	body, err := open(slices, bare)
	if err != nil {
		return notFound
	}
	if bare || r.Length == 0 {
		_ = body.Close()
	} else {
		r.Body = body
	}
	v.land(false)
	v.served = visit.Respond(r)
	return ok
}

// open opens slices as one body, or, for a response without one, uses them all the same.
func open(slices []slice, bare bool) (io.ReadCloser, error) {
	if len(slices) == 1 {
		return slices[0].open(bare)
	}
	all := &sequence{}
	for _, s := range slices {
		body, err := s.open(bare)
		if err != nil {
			_ = all.Close()
			return nil, err
		}
		all.bodies = append(all.bodies, body)
	}
	return all, nil
}

func (s *slice) open(bare bool) (io.ReadCloser, error) {
	if bare {
		return s.entry.Open(s.offset, 0)
	}
	return s.entry.Open(s.offset, s.length)
}

// sequence is bodies one after another.
type sequence struct{ bodies []io.ReadCloser }

// Read follows io.Reader.
func (s *sequence) Read(p []byte) (int, error) {
	for len(s.bodies) > 0 {
		n, err := s.bodies[0].Read(p)
		if err != io.EOF {
			return n, err
		}
		_ = s.bodies[0].Close() // it has given all that it had
		s.bodies = s.bodies[1:]
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// Close follows io.Closer.
func (s *sequence) Close() error {
	var err error
	for _, b := range s.bodies {
		err = errors.Join(err, b.Close())
	}
	s.bodies = nil
	return err
}
