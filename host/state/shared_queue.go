package state

import (
	"bytes"
	"slices"
)

// queue is a bounded sequence of messages. Shared.mu guards it.
type queue struct {
	messages [][]byte
	readers  []Reader // the last one is told
}

// Reader is told when there is a message in a queue that it registered for. It
// is known by its identity, so it must be comparable: a pointer.
type Reader interface {
	// QueueReady is called once for each message, by the goroutine that enqueues
	// it and under no lock.
	QueueReady(id uint32)
}

// Register opens the named queue, or makes one, and has r told of its messages
// from now on, in place of who was told before. It returns ErrFull if there are
// too many queues.
//
// Who was told before stays registered, and is told again when r unregisters: a
// version of a policy that was only tried takes nothing away from the running
// one.
func (s *Shared) Register(name string, r Reader) (id uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, there := s.ids[name]
	if !there {
		if len(s.queues) >= s.limits.queues {
			s.counts.full.Add(1)
			return 0, ErrFull
		}
		if !s.hold(int64(len(name)) + entryOverhead) {
			return 0, ErrFull
		}
		id = uint32(len(s.queues)) + 1 // queues stay
		s.ids[name], s.queues[id] = id, new(queue)
	}
	q := s.queues[id]
	q.remove(r)
	q.readers = append(q.readers, r)
	return id, nil
}

// Unregister has r told no more, wherever it stands among those registered. The
// queue stays. A call of QueueReady may still be under way.
func (s *Shared) Unregister(id uint32, r Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[id]; q != nil {
		q.remove(r)
	}
}

func (q *queue) remove(r Reader) {
	q.readers = slices.DeleteFunc(q.readers, func(other Reader) bool { return other == r })
}

// Resolve returns the id of the named queue.
func (s *Shared) Resolve(name string) (id uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok = s.ids[name]
	return id, ok
}

// Enqueue adds a copy of data to the queue and tells the last reader that
// registered. It returns ErrNoQueue, or ErrFull if a bound would be exceeded.
func (s *Shared) Enqueue(id uint32, data []byte) error {
	reader, err := s.enqueue(id, data)
	if reader != nil {
		reader.QueueReady(id)
	}
	return err
}

func (s *Shared) enqueue(id uint32, data []byte) (Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[id]
	if q == nil {
		return nil, ErrNoQueue
	}
	if len(q.messages) >= s.limits.messages {
		s.counts.full.Add(1)
		return nil, ErrFull
	}
	if !s.hold(int64(len(data)) + messageOverhead) {
		return nil, ErrFull
	}
	q.messages = append(q.messages, bytes.Clone(data))
	if len(q.readers) == 0 {
		return nil, nil
	}
	return q.readers[len(q.readers)-1], nil
}

// Dequeue takes the oldest message. It returns ErrNoQueue or ErrEmpty.
func (s *Shared) Dequeue(id uint32) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[id]
	switch {
	case q == nil:
		return nil, ErrNoQueue
	case len(q.messages) == 0:
		return nil, ErrEmpty
	}
	data := q.messages[0]
	q.messages[0] = nil // or the array would keep it
	q.messages = q.messages[1:]
	s.held.give(int64(len(data)) + messageOverhead)
	return data, nil
}
