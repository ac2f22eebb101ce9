package keyring

import "errors"

// Wrapped is what a message carries beside its content.
type Wrapped struct {
	Encrypted []byte // the encrypted key; empty with direct use or agreement
	EPK       []byte // the sender's public key of an agreement, as a JWK; else empty
}

// Wrap protects a content key with the primary version of a key. Without one it makes
// one for an algorithm for content ("A256GCM", "A128CBC-HS256"); a second recipient is
// given the first one's. The algorithm must be one there is, and what is used or agreed
// on directly has one recipient: else it is ErrMalformed. The caller wipes the key.
func (g *Grant) Wrap(name, enc []byte, key *ContentKey) (*ContentKey, Wrapped, error) {
	k, err := g.key(name, Wrap)
	if err != nil {
		return nil, Wrapped{}, err
	}
	c, known := contents[string(enc)]
	if !known {
		return nil, Wrapped{}, ErrMalformed
	}
	var chosen []byte
	if key != nil {
		if chosen = key.candidates[0]; len(chosen) != c.keyBytes {
			return nil, Wrapped{}, ErrMalformed
		}
	}
	w, err := k.primary().works.(wrapper).wrap(c, string(enc), chosen)
	if err != nil {
		return nil, Wrapped{}, err
	}
	if key == nil {
		key = &ContentKey{c, [][]byte{w.key}}
	}
	return key, Wrapped{w.encrypted, w.agreement.EPK}, nil
}

// Unwrap returns the content key that a message carries, by the version of that id or,
// without one, by any. It is ErrUnknown if there is no such version, ErrMalformed for
// what no such message can have, and ErrMismatch if the encrypted key is not authentic;
// with RSA only the content shows that. The caller wipes the key.
func (g *Grant) Unwrap(t Turn, name, id, enc, encrypted []byte, with Agreement) (*ContentKey, error) {
	k, err := g.key(name, Unwrap)
	if err != nil {
		return nil, err
	}
	c, known := contents[string(enc)]
	if !known {
		return nil, ErrMalformed
	}
	versions := k.versions
	if len(id) > 0 {
		v := k.version(id)
		if v == nil {
			return nil, ErrUnknown
		}
		versions = []*Version{v}
	}
	made, w := &ContentKey{content: c}, wrapped{encrypted: encrypted, agreement: with}
	for _, v := range versions {
		if !v.private {
			err = errors.Join(err, ErrUnknown)
			continue
		}
		key, failed := unwrapDear(g.gate, t, v.works.(wrapper), c, string(enc), w)
		if errors.Is(failed, ErrBusy) || errors.Is(failed, ErrTimeout) {
			made.Wipe() // without this version nobody knows whether the message is authentic
			return nil, failed
		}
		if failed != nil {
			err = failed
			continue
		}
		made.candidates = append(made.candidates, key)
	}
	if len(made.candidates) == 0 {
		return nil, err
	}
	return made, nil
}

func unwrapDear(gate *Gate, t Turn, by wrapper, c content, enc string, w wrapped) (key []byte, err error) {
	if !by.dear() {
		return by.unwrap(c, enc, w)
	}
	err = gate.do(t, 0, func() (err error) {
		key, err = by.unwrap(c, enc, w)
		return err
	})
	return key, err
}
