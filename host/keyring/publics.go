package keyring

import (
	"crypto/sha256"
	"sync"
)

// publics are the public keys that guests have shown, by their text: each is
// parsed once. At most maxPublics are kept; any of them makes room for a new one.
// The zero value is ready for use.
type publics struct {
	mu   sync.Mutex
	kept map[[sha256.Size]byte]signer
}

const maxPublics = 256

func (p *publics) get(algorithm, text []byte) (signer, error) {
	if len(text) > MaxJWKBytes {
		return nil, ErrTooLarge
	}
	a := algorithms[string(algorithm)]
	if a == nil || a.pair == nil || a.uses != signature {
		return nil, ErrMalformed
	}
	h := sha256.New()
	h.Write([]byte(a.name))
	h.Write([]byte{0})
	h.Write(text)
	var name [sha256.Size]byte
	h.Sum(name[:0])
	p.mu.Lock()
	found := p.kept[name]
	p.mu.Unlock()
	if found != nil {
		return found, nil
	}
	made, err := parsePublic(a, text)
	if err != nil {
		return nil, ErrMalformed
	}
	p.keep(name, made)
	return made, nil
}

func (p *publics) keep(name [sha256.Size]byte, made signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == nil {
		p.kept = make(map[[sha256.Size]byte]signer)
	}
	for old := range p.kept {
		if len(p.kept) < maxPublics {
			break
		}
		delete(p.kept, old)
	}
	p.kept[name] = made
}

// parsePublic reads a public key to verify by. A private one is refused: whoever
// shows it has lost it.
func parsePublic(a *algorithm, text []byte) (signer, error) {
	k, err := parseJWK(a, text)
	if err == nil {
		err = checkPair(k)
	}
	if err == nil && k.private != nil {
		wipePair(k)
		err = ErrMalformed
	}
	if err != nil {
		return nil, err
	}
	works, err := a.pair(a, k)
	if err != nil {
		return nil, err
	}
	return works.(signer), nil
}
