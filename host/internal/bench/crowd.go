package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// pace is how long a slow connection waits between two bytes.
const pace = 250 * time.Millisecond

// crowd is a number of connections that send the head of a request, byte by byte, and never come to its end. One
// that the proxy gives up is opened anew.
type crowd struct {
	address string
	conns   []net.Conn
	stop    context.CancelFunc
	ended   chan struct{}
}

// gather opens n slow connections, which go on until leave is called.
func gather(ctx context.Context, address string, n int) (*crowd, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &crowd{address: address, conns: make([]net.Conn, n), stop: stop, ended: make(chan struct{})}
	for i := range c.conns {
		if err := c.open(i); err != nil {
			close(c.ended)
			c.leave()
			return nil, err
		}
	}
	go c.dribble(ctx)
	return c, nil
}

func (c *crowd) open(i int) error {
	conn, err := net.DialTimeout("tcp", c.address, 5*time.Second)
	if err != nil {
		return fmt.Errorf("slow connection %d: %w", i, err)
	}
	c.conns[i] = conn
	_, err = io.WriteString(conn, "GET /1KiB HTTP/1.1\r\nHost: "+c.address+"\r\nX-Slow: ")
	return err
}

// dribble sends a byte on each connection once in a pace, a few at a time.
func (c *crowd) dribble(ctx context.Context) {
	defer close(c.ended)
	const few = 8
	batches := (len(c.conns) + few - 1) / few
	tick := time.NewTicker(pace / time.Duration(batches))
	defer tick.Stop()
	for next := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range few {
			if _, err := c.conns[next].Write([]byte("x")); err != nil {
				c.conns[next].Close()
				_ = c.open(next) // what cannot be opened fails its next write, and is tried again then
			}
			next = (next + 1) % len(c.conns)
		}
	}
}

// leave closes all connections.
func (c *crowd) leave() {
	c.stop()
	<-c.ended
	for _, conn := range c.conns {
		if conn != nil {
			conn.Close()
		}
	}
}

// sitters are connections that wait, open, for their next request.
type sitters struct {
	request string
	bytes   int // of an answer's body
	conns   []net.Conn
}

// atOnce is how many of the sitters' requests are on their way at a time.
const atOnce = 16

// sit opens n connections to address and asks for one answer on each.
func sit(ctx context.Context, address string, n int, sc scenario) (*sitters, error) {
	s := &sitters{
		request: "GET " + sc.path + " HTTP/1.1\r\nHost: " + address + "\r\nx-api-key: " + apiKey + "\r\n\r\n",
		bytes:   sc.bytes, conns: make([]net.Conn, n),
	}
	err := s.each(ctx, func(i int, r *bufio.Reader) error {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return err
		}
		s.conns[i] = conn
		return s.ask(conn, r)
	})
	if err != nil {
		s.leave()
		return nil, err
	}
	return s, nil
}

// again asks once more on each connection: one that was closed meanwhile was no idle connection.
func (s *sitters) again(ctx context.Context) error {
	return s.each(ctx, func(i int, r *bufio.Reader) error { return s.ask(s.conns[i], r) })
}

func (s *sitters) each(ctx context.Context, do func(i int, r *bufio.Reader) error) error {
	errs := make([]error, atOnce)
	var workers sync.WaitGroup
	for w := range atOnce {
		workers.Go(func() {
			r := bufio.NewReader(nil)
			for i := w; i < len(s.conns) && errs[w] == nil; i += atOnce {
				if errs[w] = ctx.Err(); errs[w] == nil {
					errs[w] = do(i, r)
				}
			}
		})
	}
	workers.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("idle connections: %w", err)
	}
	return nil
}

func (s *sitters) ask(conn net.Conn, r *bufio.Reader) error {
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, s.request); err != nil {
		return err
	}
	r.Reset(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || n != int64(s.bytes) || response.Close) {
		err = fmt.Errorf("got status %d, %d bytes, to be closed: %v", response.StatusCode, n, response.Close)
	}
	return err
}

// leave closes all connections.
func (s *sitters) leave() {
	for _, conn := range s.conns {
		if conn != nil {
			conn.Close()
		}
	}
}
