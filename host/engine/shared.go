package engine

import "sync"

// shared is what generations have in common, by what makes one differ from another. The
// zero value holds nothing.
type shared[T any] struct {
	mu    sync.Mutex
	byKey map[string]*counted[T]
}

type counted[T any] struct {
	value *T
	refs  int
}

// take returns what is there by that key, with one more reference; nil if nothing is.
func (s *shared[T]) take(key string) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.byKey[key]
	if there == nil {
		return nil
	}
	there.refs++
	return there.value
}

// put adds made with one reference. If the key is taken, what is there is returned with
// one more reference, and surplus is true: the caller closes its own.
func (s *shared[T]) put(key string, made *T) (kept *T, surplus bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there := s.byKey[key]; there != nil {
		there.refs++
		return there.value, true
	}
	if s.byKey == nil {
		s.byKey = map[string]*counted[T]{}
	}
	s.byKey[key] = &counted[T]{value: made, refs: 1}
	return made, false
}

// drop drops one reference and reports whether it was the last one. What was never
// shared has one.
func (s *shared[T]) drop(key string) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.byKey[key]
	if there == nil {
		return true
	}
	there.refs--
	if there.refs > 0 {
		return false
	}
	delete(s.byKey, key)
	return true
}
