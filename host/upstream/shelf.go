package upstream

// shelf holds parts that generations share, by key, as long as any of them
// uses them. Its user guards it.
type shelf[V any] struct{ parts map[string]*part[V] }

type part[V any] struct {
	value V
	users int
}

// take returns the part for a key, made if there is none, and counts its user.
// made tells which.
func (s *shelf[V]) take(key string, make func() (V, error)) (value V, made bool, err error) {
	p := s.parts[key]
	if p == nil {
		if value, err = make(); err != nil {
			return value, false, err
		}
		p = &part[V]{value: value}
		if s.parts == nil {
			s.parts = map[string]*part[V]{}
		}
		s.parts[key] = p
		made = true
	}
	p.users++
	return p.value, made, nil
}

// give takes a user off. last says that there is none left: the part is off the
// shelf, to be closed by the caller.
func (s *shelf[V]) give(key string) (value V, last bool) {
	p := s.parts[key]
	if p.users--; p.users > 0 {
		return p.value, false
	}
	delete(s.parts, key)
	return p.value, true
}
