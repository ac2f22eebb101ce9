package process

import (
	"context"
	"errors"
	"slices"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// Bounds of one call with a key.
const (
	maxCryptoData   = 4 << 20
	maxAssociated   = 64 << 10
	maxSignature    = 4 << 10
	maxEncryptedKey = 1 << 10
	maxAgreement    = 4 << 10
	maxTag          = 64
	maxContentKeys  = 16
)

// errHandles says that there can be no more handles.
var errHandles = errors.New("there are as many keys for content as there may be")

// contentKeys are the keys for content of one exchange, each under a handle. The zero value
// has none.
type contentKeys struct {
	last uint32
	open []contentKey
}

type contentKey struct {
	handle uint32
	key    *keyring.ContentKey
}

// find returns the key of a handle, nil if there is none.
func (c *contentKeys) find(handle uint32) *keyring.ContentKey {
	i := c.index(handle)
	if i < 0 {
		return nil
	}
	return c.open[i].key
}

func (c *contentKeys) index(handle uint32) int {
	return slices.IndexFunc(c.open, func(k contentKey) bool { return k.handle == handle })
}

// add keeps a key and returns its handle.
func (c *contentKeys) add(key *keyring.ContentKey) uint32 {
	c.last++
	c.open = append(c.open, contentKey{c.last, key})
	return c.last
}

// drop ends the key of a handle.
func (c *contentKeys) drop(handle uint32) error {
	i := c.index(handle)
	if i < 0 {
		return keyring.ErrUnknown
	}
	c.open[i].key.Wipe()
	c.open = slices.Delete(c.open, i, i+1)
	return nil
}

// wipe ends all keys.
func (c *contentKeys) wipe() {
	for _, k := range c.open {
		k.key.Wipe()
	}
	*c = contentKeys{}
}

// crypto works with a key that the manifest grants the policy.
func (p *Policy) crypto(ctx context.Context, own *contentKeys, c *pluginpb.Call, r *pluginpb.Result) (err error) {
	keys := p.granted.Keys
	switch c := c.Call.(type) {
	case *pluginpb.Call_Key:
		return info(keys, c.Key, r)
	case *pluginpb.Call_Seal:
		return sealing(keys.Seal, c.Seal, maxCryptoData, r)
	case *pluginpb.Call_Open:
		return sealing(keys.Open, c.Open, maxCryptoData+keyring.MaxOverhead+2+keyring.MaxID, r)
	case *pluginpb.Call_Sign:
		if len(c.Sign.GetData()) > maxCryptoData {
			return keyring.ErrTooLarge
		}
		r.Value, err = keys.Sign(keyring.Turn{Context: ctx}, []byte(c.Sign.GetKey()), c.Sign.GetData())
		return err
	case *pluginpb.Call_Verify:
		v := c.Verify
		if len(v.GetData()) > maxCryptoData || len(v.GetSignature()) > maxSignature {
			return keyring.ErrTooLarge
		}
		return keys.Verify([]byte(v.GetKey()), []byte(v.GetId()), v.GetData(), v.GetSignature())
	}
	if own == nil {
		return errors.New("keys for content are an exchange's")
	}
	return own.do(ctx, keys, c, r)
}

func info(keys *keyring.Grant, name string, r *pluginpb.Result) error {
	var granted bool
	if r.Id, granted = keys.KeyID([]byte(name)); !granted {
		return keyring.ErrNotGranted
	}
	r.Algorithm, _ = keys.Algorithm([]byte(name))
	return nil
}

func sealing(do func(name, data, associated []byte) ([]byte, error), s *pluginpb.Sealing, limit int, r *pluginpb.Result) (err error) {
	if len(s.GetData()) > limit || len(s.GetAssociated()) > maxAssociated {
		return keyring.ErrTooLarge
	}
	r.Value, err = do([]byte(s.GetKey()), s.GetData(), s.GetAssociated())
	return err
}

// do works with keys for content.
func (c *contentKeys) do(ctx context.Context, keys *keyring.Grant, call *pluginpb.Call, r *pluginpb.Result) error {
	switch call := call.Call.(type) {
	case *pluginpb.Call_Wrap:
		return c.wrap(keys, call.Wrap, r)
	case *pluginpb.Call_Unwrap:
		return c.unwrap(ctx, keys, call.Unwrap, r)
	case *pluginpb.Call_Encrypt:
		return c.encrypt(call.Encrypt, r)
	case *pluginpb.Call_Decrypt:
		return c.decrypt(call.Decrypt, r)
	case *pluginpb.Call_Drop:
		return c.drop(call.Drop)
	}
	return errors.ErrUnsupported
}

func (c *contentKeys) wrap(keys *keyring.Grant, w *pluginpb.Wrapping, r *pluginpb.Result) error {
	r.Handle = w.GetHandle()
	given := c.find(r.Handle)
	switch {
	case given == nil && r.Handle != 0:
		return keyring.ErrUnknown
	case given == nil && len(c.open) == maxContentKeys:
		return errHandles
	}
	made, wrapped, err := keys.Wrap([]byte(w.GetKey()), []byte(w.GetEnc()), given)
	if err != nil {
		return err
	}
	if given == nil {
		r.Handle = c.add(made)
	}
	r.Value, r.Epk = wrapped.Encrypted, wrapped.EPK
	return nil
}

func (c *contentKeys) unwrap(ctx context.Context, keys *keyring.Grant, w *pluginpb.Wrapping, r *pluginpb.Result) error {
	switch {
	case len(w.GetEncrypted()) > maxEncryptedKey || len(w.GetEpk())+len(w.GetApu())+len(w.GetApv()) > maxAgreement:
		return keyring.ErrTooLarge
	case len(c.open) == maxContentKeys:
		return errHandles
	}
	with, err := keyring.ParseAgreement(w.GetEpk(), w.GetApu(), w.GetApv())
	if err != nil {
		return err
	}
	key, err := keys.Unwrap(keyring.Turn{Context: ctx}, []byte(w.GetKey()), []byte(w.GetId()), []byte(w.GetEnc()), w.GetEncrypted(), with)
	if err != nil {
		return err
	}
	r.Handle = c.add(key)
	return nil
}

func (c *contentKeys) encrypt(d *pluginpb.Content, r *pluginpb.Result) (err error) {
	key := c.find(d.GetHandle())
	switch {
	case key == nil:
		return keyring.ErrUnknown
	case len(d.Data) > maxCryptoData || len(d.Associated) > maxAssociated:
		return keyring.ErrTooLarge
	}
	r.Value, err = key.Encrypt(d.Data, d.Associated)
	return err
}

func (c *contentKeys) decrypt(d *pluginpb.Content, r *pluginpb.Result) (err error) {
	key := c.find(d.GetHandle())
	switch {
	case key == nil:
		return keyring.ErrUnknown
	case len(d.Data) > maxCryptoData+keyring.MaxContentOverhead || len(d.Associated) > maxAssociated || len(d.Nonce) > maxTag || len(d.Tag) > maxTag:
		return keyring.ErrTooLarge
	}
	r.Value, err = key.Decrypt(d.Nonce, d.Data, d.Tag, d.Associated)
	return err
}
