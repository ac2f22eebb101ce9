package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm/meter"
)

// ErrNotClonable is wrapped by what says why there is no image. Plain instances
// do the same work, and take longer to start.
var ErrNotClonable = errors.New("its instances can't be cloned")

const (
	// Reseed is what a guest may export, () -> (): a clone is called there before
	// it is used, to draw anew what it must not share with its siblings.
	Reseed = "ergo_reseed"
	// Random is the capability of guests to which that matters.
	Random = "ergo_random"
)

// Image is what an instance has become, of which any number of instances can be
// made: its memory, which they share page by page until they write to it, and
// its globals. It is safe for concurrent use.
type Image struct {
	program *Program
	frozen  frozen
	memory  uint64 // bytes that the guest has; behind the frozen ones they are zeros
	globals []uint64
	held    *Held

	mu    sync.Mutex
	users int // the owner and the clones
}

// frozen is memory in a file that nobody can write to.
type frozen struct {
	file   *os.File
	bytes  []byte // of all of it, to be read
	stored int64  // bytes that it takes up, without the holes
}

// Clonable returns nil if instances of the program have images. Whoever is
// granted ergo_random must have said by its export what is to be drawn anew;
// otherwise every instance of it begins for itself.
func (p *Program) Clonable(granted []string) error {
	switch {
	case p.lifted.Fixed != "":
		return fmt.Errorf("%w: %s", ErrNotClonable, p.lifted.Fixed)
	case !p.reseeds && slices.Contains(granted, Random):
		return fmt.Errorf("%w: it is granted %s and does not export %s", ErrNotClonable, Random, Reseed)
	}
	return nil
}

// Snapshot makes an image of an instance that is started and configured, while
// nothing calls it. The instance stays what it is. The error wraps
// ErrNotClonable if there is no way to have an image. Clones count for the same
// Held as the instance.
func (i *Instance) Snapshot() (*Image, error) {
	p := i.program
	switch {
	case i.spent:
		return nil, fmt.Errorf("%w: the instance is spent", ErrNotClonable)
	case len(i.call.kept) > 0:
		return nil, fmt.Errorf("%w: it has opened what the host keeps while it started", ErrNotClonable)
	case i.memory.room == nil:
		return nil, fmt.Errorf("%w: memory is on the heap: %w", ErrNotClonable, i.memory.err)
	}
	if err := p.Clonable(nil); err != nil {
		return nil, err
	}
	m := &Image{program: p, memory: uint64(len(i.memory.bytes)), held: i.memory.held, users: 1}
	for n := range p.lifted.Globals {
		m.globals = append(m.globals, i.module.ExportedGlobal(meter.GlobalName(n)).Get())
	}
	var err error
	if m.frozen, err = freeze(i.memory.bytes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotClonable, err)
	}
	if !p.retain() {
		return nil, errors.Join(ErrClosed, m.frozen.close())
	}
	m.held.addImage(m.frozen.stored)
	return m, nil
}

// Clone makes an instance that is what the image's was. Bounds, log and what the
// host keeps of a guest come from config, Held from the image. The error is a
// *Fault if it is the guest's; if it is the system's, which had no room, a plain
// instance may still be possible.
func (m *Image) Clone(ctx context.Context, config InstanceConfig) (*Instance, error) {
	if !m.retain() {
		return nil, ErrClosed
	}
	config.Held = m.held
	return m.program.instance(ctx, config, m)
}

// Close gives the image up. Its clones live on, and what it holds goes with the
// last of them.
func (m *Image) Close(ctx context.Context) error { return m.release(ctx) }

func (m *Image) retain() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users == 0 {
		return false
	}
	m.users++
	return true
}

func (m *Image) release(ctx context.Context) error {
	m.mu.Lock()
	m.users--
	last := m.users == 0
	m.mu.Unlock()
	if !last {
		return nil
	}
	m.held.addImage(-m.frozen.stored)
	return errors.Join(m.frozen.close(), m.program.release(ctx))
}

// mapInto lays the memory over the beginning of room.
func (m *Image) mapInto(room []byte) error {
	if m.memory > uint64(len(room)) {
		return fmt.Errorf("an image of %d bytes does not fit in %d", m.memory, len(room))
	}
	err := m.frozen.mapInto(room)
	if err == nil {
		err = openRoom(room[len(m.frozen.bytes):m.memory])
	}
	return wrap("map an image", err)
}

// restore makes a page that begins at some place of memory what it was.
func (m *Image) restore(page []byte, at int) {
	if at >= len(m.frozen.bytes) {
		clear(page)
		return
	}
	copy(page, m.frozen.bytes[at:])
}

// become gives a new instance what its image has beside memory.
func (i *Instance) become() error {
	for n := range i.image.globals {
		i.globals = append(i.globals, i.module.ExportedGlobal(meter.GlobalName(n)).(api.MutableGlobal))
	}
	i.recall()
	if !i.program.reseeds {
		return nil
	}
	i.reseed = i.module.ExportedFunction(Reseed)
	return i.run(i.reseed)
}

// recall sets the globals to what they were in the image.
func (i *Instance) recall() {
	for n, g := range i.globals {
		g.Set(i.image.globals[n])
	}
}

// Reset makes a clone, where it is, what it was before its first call. It reports
// false if it can't: then the instance must not be used again.
func (i *Instance) Reset() bool {
	if i.spent || !i.memory.recall() {
		return false
	}
	for _, w := range i.printed {
		w.flush()
	}
	i.call.Leave(nil)
	i.call.kept = nil
	i.recall()
	return i.reseed == nil || i.Invoke(i.reseed, nil) == nil
}
