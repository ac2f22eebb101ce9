package server

import (
	"errors"
	"net"
	"reflect"

	"github.com/ergoproxy/ergo/host/manifest"
)

// Change is a set of listeners that is ready to replace the running one. It
// ends with Commit or Abort.
type Change struct {
	server  *Server
	steps   []step
	removed []*listener
}

// step is what happens to one listener.
type step struct {
	listener *listener
	front    *front      // to put in; nil: all stays as it is
	bound    bool        // the listener is new
	quic     *quicSocket // bound for it; nil: it has one, or needs none
}

// Prepare makes ready what listeners asks for: it binds new addresses and loads
// certificates, and touches nothing that runs. The error is Problems. Of two
// settings for one address, the running socket is kept and only what is behind
// it changes; connections that are open keep the settings they came under.
func (s *Server) Prepare(listeners []manifest.Listener) (*Change, error) {
	s.mu.Lock()
	running, closed := s.listeners, s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	c := &Change{server: s}
	var problems Problems
	kept := match(running, listeners)
	for i := range listeners {
		step, problem := s.prepare(i, &listeners[i], kept[i])
		if problem != nil {
			problems = append(problems, problem)
			continue
		}
		c.steps = append(c.steps, step)
	}
	if problems != nil {
		c.Abort()
		return nil, problems
	}
	for _, l := range running {
		if !contains(kept, l) {
			c.removed = append(c.removed, l)
		}
	}
	return c, nil
}

func (s *Server) prepare(index int, settings *manifest.Listener, kept *listener) (step, *Problem) {
	if kept != nil && reflect.DeepEqual(kept.settings(), *settings) {
		return step{listener: kept}, nil
	}
	if settings.HTTP3 && settings.TLS == nil {
		return step{}, &Problem{Listener: index, Path: "http3", Err: errors.New("needs TLS")}
	}
	f, problem := newFront(s, settings)
	if problem != nil {
		problem.Listener = index
		return step{}, problem
	}
	st := step{listener: kept, front: f}
	if kept == nil {
		problem = st.bind(s, settings)
	} else if settings.HTTP3 && kept.quic == nil {
		problem = st.bindQUIC(s)
	}
	if problem != nil {
		problem.Listener = index
		return step{}, problem
	}
	if settings.HTTP3 && !settings.Link { // edge hosts pass on what they are told
		f.announce(st.listener.socket.Addr())
	}
	return st, nil
}

// bindTries is how many free ports of TCP are tried until one is free for UDP too.
const bindTries = 10

// bind makes a new listener.
func (st *step) bind(s *Server, settings *manifest.Listener) *Problem {
	for try := 1; ; try++ {
		socket, err := net.Listen("tcp", settings.Address)
		if err != nil {
			return &Problem{Path: "address", Err: err}
		}
		st.listener, st.bound = newListener(s, socket), true
		if !settings.HTTP3 {
			return nil
		}
		problem := st.bindQUIC(s)
		if problem == nil {
			return nil
		}
		socket.Close()
		if _, port, _ := net.SplitHostPort(settings.Address); port != "0" || try == bindTries {
			return problem
		}
	}
}

// bindQUIC binds the UDP port beside the listener's own.
func (st *step) bindQUIC(s *Server) *Problem {
	var err error
	if st.quic, err = s.bindQUIC(st.listener.socket.Addr()); err != nil {
		return &Problem{Path: "http3", Err: err}
	}
	return nil
}

// match finds for each of the wanted listeners the running one with the same
// address, first of the same name, then of any.
func match(running []*listener, wanted []manifest.Listener) []*listener {
	matched := make([]*listener, len(wanted))
	for _, sameName := range []bool{true, false} {
		for i := range wanted {
			for _, l := range running {
				old := l.settings()
				if matched[i] == nil && old.Address == wanted[i].Address &&
					(!sameName || old.Name == wanted[i].Name) && !contains(matched, l) {
					matched[i] = l
				}
			}
		}
	}
	return matched
}

func contains(ls []*listener, l *listener) bool {
	for _, other := range ls {
		if other == l {
			return true
		}
	}
	return false
}

// Commit switches to the new listeners: new ones begin to accept, kept ones get
// their new settings, removed ones stop and end as their exchanges do.
func (c *Change) Commit() {
	s := c.server
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.Abort()
		return
	}
	s.listeners = nil
	for _, step := range c.steps {
		s.listeners = append(s.listeners, step.listener)
		if step.front != nil {
			step.listener.use(step.front, step.quic)
		}
		if step.bound {
			step.listener.start()
		}
	}
	for _, l := range c.removed {
		l.close()
		s.drains.Go(func() { l.drainWithin(s.opts.DrainTimeout) })
	}
	s.mu.Unlock()
}

// Abort gives back what Prepare took.
func (c *Change) Abort() {
	for _, step := range c.steps {
		if step.quic != nil {
			step.quic.release()
		}
		if step.bound {
			step.listener.socket.Close()
		}
	}
}
