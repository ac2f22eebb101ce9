package engine

import (
	"errors"
	"fmt"

	"github.com/ergoproxy/ergo/host/manifest"
)

// Listeners are where exchanges come from; the server implements it.
type Listeners interface {
	// Prepare binds and loads what is new and touches nothing that runs. The
	// change is committed or aborted before Prepare is called again.
	Prepare([]manifest.Listener) (ListenerChange, error)
}

// ListenerChange is a prepared change of listeners: exactly one of its methods
// is called, once.
type ListenerChange interface {
	Commit()
	Abort()
}

// ListenerError is what a Listeners says of one listener.
type ListenerError struct {
	Index int    // in the manifest's list as it was given to Prepare
	Key   string // below the listener, such as "address"; empty: the listener itself
	Err   error
}

func (e *ListenerError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ListenerError) Unwrap() error { return e.Err }

// ListenerErrors are all that is wrong with listeners.
type ListenerErrors []*ListenerError

func (e ListenerErrors) Error() string {
	errs := make([]error, len(e))
	for i := range e {
		errs[i] = e[i]
	}
	return errors.Join(errs...).Error()
}

// prepareListeners binds and loads the listeners of the tiers that run here:
// clients come in at the edge, edge hosts at the link listeners.
func (b *build) prepareListeners() {
	link := b.e.opts.Mode == Service
	var wanted []manifest.Listener
	var places []int
	for i, l := range b.m.Listeners {
		if l.Link == link {
			wanted, places = append(wanted, l), append(places, i)
		}
	}
	switch {
	case len(wanted) == 0 && link:
		b.problem("listener", "none is for edge hosts", "add link = true to the one that they reach this host at")
		return
	case len(wanted) == 0:
		b.problem("listener", "none is for clients: all have link = true", "add [[listener]] with an address")
		return
	case b.e.opts.Listeners == nil:
		return
	}
	change, err := b.e.opts.Listeners.Prepare(wanted)
	var each ListenerErrors
	switch {
	case errors.As(err, &each):
		for _, l := range each {
			path := fmt.Sprintf("listener[%d]", places[l.Index])
			if l.Key != "" {
				path += "." + l.Key
			}
			b.problem(path, l.Error(), "")
		}
	case err != nil:
		b.problem("listener", err.Error(), "")
	default:
		b.listeners = change
	}
}

// noListeners stands for listeners that do not change.
type noListeners struct{}

func (noListeners) Commit() {}
func (noListeners) Abort()  {}
