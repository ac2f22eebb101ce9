package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// listener is one bound address and the settings that are behind it.
type listener struct {
	server *Server
	socket net.Listener
	quic   *quicSocket   // nil unless HTTP/3 is spoken; changed by Commit alone
	ended  chan struct{} // closed when no connection can come any more

	mu      sync.Mutex
	current *front   // of new connections
	fronts  []*front // current and older ones with open connections
}

func newListener(s *Server, socket net.Listener) *listener {
	return &listener{server: s, socket: socket, ended: make(chan struct{})}
}

func (l *listener) settings() manifest.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current.settings
}

func (l *listener) name() string { return l.settings().Name }

// put makes f the front of connections to come.
func (l *listener) put(f *front) {
	f.emptied = func() { l.remove(f) }
	f.start()
	l.mu.Lock()
	old := l.current
	l.current = f
	l.fronts = append(l.fronts, f)
	l.mu.Unlock()
	if old != nil {
		old.retire()
	}
}

// use is put, together with a socket that was bound for f, or without the one
// there is if f does not want it.
func (l *listener) use(f *front, bound *quicSocket) {
	if l.quic != nil && !f.settings.HTTP3 {
		l.quic.release()
		l.quic = nil
	}
	l.put(f)
	if bound != nil {
		l.quic = bound
		bound.start(l)
	}
}

// remove forgets a front that has retired and has no connection left.
func (l *listener) remove(f *front) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.fronts {
		if l.fronts[i] == f {
			l.fronts = append(l.fronts[:i:i], l.fronts[i+1:]...)
			return
		}
	}
}

func (l *listener) start() { go l.accept() }

// How long accept rests when the system has no file descriptor or memory left:
// at first, and at most as that goes on.
const (
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

func (l *listener) accept() {
	defer close(l.ended)
	pause := acceptPause
	for {
		socket, err := l.socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.server.log.Error("accept connection", "listener", l.name(), "error", err)
			time.Sleep(pause)
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = acceptPause
		if c := l.admit(socket); c != nil {
			go c.front.serve(c)
		} else {
			l.server.refused.Add(1)
			socket.Close()
		}
	}
}

// admit counts a connection, or returns nil if there are too many.
func (l *listener) admit(socket net.Conn) *conn {
	s := l.server
	if s.connections.Add(1) > s.maxConnections.Load() {
		s.connections.Add(-1)
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	open := 0
	for _, f := range l.fronts {
		open += f.openCount()
	}
	if limit := l.current.settings.Limits.Connections; limit > 0 && open >= limit {
		s.connections.Add(-1)
		return nil
	}
	return l.current.admit(socket)
}

// close stops accepting.
func (l *listener) close() {
	l.socket.Close()
	<-l.ended
	if l.quic != nil {
		l.quic.release()
	}
}

// drain waits for all connections to end; when ctx ends first it closes them.
func (l *listener) drain(ctx context.Context) {
	l.mu.Lock()
	fronts := l.fronts
	l.mu.Unlock()
	var ended sync.WaitGroup
	for _, f := range fronts {
		ended.Go(func() { f.drain(ctx) })
	}
	ended.Wait()
}

func (l *listener) drainWithin(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(l.server.stopped, timeout)
	defer cancel()
	l.drain(ctx)
}
