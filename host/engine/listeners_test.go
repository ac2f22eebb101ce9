package engine

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
)

// doors is a Listeners that remembers what it was asked for and refuses an
// address on demand.
type doors struct {
	open, committed, aborted int
	running                  []string
	refuse                   string
}

func (d *doors) Prepare(wanted []manifest.Listener) (ListenerChange, error) {
	var problems ListenerErrors
	var addresses []string
	for i, l := range wanted {
		addresses = append(addresses, l.Address)
		if l.Address == d.refuse {
			problems = append(problems, &ListenerError{Index: i, Key: "address", Err: errors.New("in use")})
		}
	}
	if problems != nil {
		return nil, problems
	}
	d.open++
	return &doorsChange{d, addresses}, nil
}

type doorsChange struct {
	d         *doors
	addresses []string
}

func (c *doorsChange) Commit() { c.d.open--; c.d.committed++; c.d.running = c.addresses }
func (c *doorsChange) Abort()  { c.d.open--; c.d.aborted++ }

// withDoors gives the engine listeners.
func (b *bench) withDoors() *doors {
	d := &doors{}
	opts := b.e.opts
	opts.Listeners = d
	b.e = New(opts)
	b.t.Cleanup(func() {
		if err := b.e.Close(context.Background()); err != nil {
			b.t.Error(err)
		}
	})
	return d
}

const second = `address = "127.0.0.1:1"
[[listener]]
address = "127.0.0.1:2"`

func TestListenersComeAndGoWithGenerations(t *testing.T) {
	b := newBench(t)
	d := b.withDoors()
	one := b.manifest([]string{mark("a")}, nil)
	two := edited(t, one, `address = "127.0.0.1:1"`, second)
	b.swap(two)
	if want := []string{"127.0.0.1:1", "127.0.0.1:2"}; !slices.Equal(d.running, want) {
		t.Errorf("listening on %v, want %v", d.running, want)
	}
	b.swap(one)
	if want := []string{"127.0.0.1:1"}; !slices.Equal(d.running, want) {
		t.Errorf("after one was removed: listening on %v, want %v", d.running, want)
	}
	if _, err := b.e.Rollback(context.Background(), 1); err != nil || len(d.running) != 2 {
		t.Errorf("after a rollback: %v, listening on %v, want both", err, d.running)
	}
	b.swap(one)
	d.refuse = "127.0.0.1:2"
	_, err := b.e.Rollback(context.Background(), 1)
	var problems manifest.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Path != "listener[1].address" {
		t.Errorf("a rollback to an address that is taken: got %v, want one problem at listener[1].address", err)
	}
	if len(d.running) != 1 || d.open != 0 {
		t.Errorf("listening on %v with %d changes open", d.running, d.open)
	}
}

func TestWhateverRefusesAGenerationGivesItsPartsBack(t *testing.T) {
	b := newBench(t)
	d := b.withDoors()
	from := b.manifest([]string{mark("a")}, nil)
	b.swap(from)
	d.refuse = "127.0.0.1:2"
	for name, try := range map[string]Source{
		"a policy":   b.manifest([]string{mark("b"), `{ refuse = true }`}, nil),
		"a listener": edited(t, b.manifest([]string{mark("b")}, nil), `address = "127.0.0.1:1"`, second),
		"an upstream": edited(t, b.manifest([]string{mark("b")}, nil), `endpoints = ["`+b.origin+`"]`,
			`discovery.file = "nowhere.toml"`),
	} {
		if _, err := b.e.Swap(context.Background(), "swap", try); err == nil {
			t.Errorf("%s: the swap was not refused", name)
		}
		if d.open != 0 || d.committed != 1 {
			t.Errorf("%s: %d changes of listeners are open, %d were made", name, d.open, d.committed)
		}
		if n := b.loader.open(); n != 1 {
			t.Errorf("%s: %d policies are open, want 1", name, n)
		}
		for _, u := range b.ups.Status() {
			if u.Endpoint != b.origin {
				t.Errorf("%s: endpoint %s stays", name, u.Endpoint)
			}
		}
	}
	if got := b.get().header.Value("x-seen"); got != "a" {
		t.Errorf("exchanges see %s, want a", got)
	}
}
