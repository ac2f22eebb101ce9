package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// answered has what was found out be the answer.
func answered(x *plugin.Exchange, parts ...any) error {
	x.Answer(200, nil, []byte(strings.TrimSpace(fmt.Sprintln(parts...))))
	return nil
}

// who says what it was told of the client.
func who(_ context.Context, x *plugin.Exchange) error {
	return answered(x, x.Request.Subject, x.Request.IdentifiedBy, x.Request.Attributes)
}

func measure(_ context.Context, x *plugin.Exchange) error {
	x.Measure(plugin.Count("seen", 2), plugin.Change("open", 3), plugin.Set("level", 7), plugin.Set("level", 5), plugin.Observe("bytes", 100))
	return nil
}

func misMeasure(_ context.Context, x *plugin.Exchange) error {
	x.Measure(plugin.Count("seen", 1), plugin.Observe("seen", 1))
	return nil
}

// seal seals and opens, and says what was refused.
func seal(ctx context.Context, x *plugin.Exchange) error {
	sealed, err := x.Seal(ctx, "data", []byte("text"), []byte("context"))
	if err != nil {
		return answered(x, err)
	}
	opened, err := x.Open(ctx, "data", sealed, []byte("context"))
	_, other := x.Open(ctx, "data", sealed, []byte("other"))
	_, denied := x.Open(ctx, "mac", sealed, nil)
	_, large := x.Seal(ctx, "data", make([]byte, 4<<20+1), nil)
	key, unknown := x.Key(ctx, "data")
	return answered(x, string(opened), err, errors.Is(other, plugin.ErrMismatch), errors.Is(denied, plugin.ErrNotGranted),
		errors.Is(large, plugin.ErrTooLarge), key, unknown, bytes.Contains(sealed, []byte("text")))
}

func sign(ctx context.Context, x *plugin.Exchange) error {
	signature, err := x.Sign(ctx, "mac", []byte("text"))
	if err != nil {
		return answered(x, err)
	}
	right, wrong := x.Verify(ctx, "mac", "v1", []byte("text"), signature), x.Verify(ctx, "mac", "", []byte("other"), signature)
	none := x.Verify(ctx, "mac", "v9", []byte("text"), signature)
	return answered(x, len(signature), right, errors.Is(wrong, plugin.ErrMismatch), errors.Is(none, plugin.ErrUnknown))
}

// wrap takes a key for content from one recipient to another.
func wrap(ctx context.Context, x *plugin.Exchange) error {
	key, wrapped, err := x.NewContentKey(ctx, "kw", "A256GCM")
	if err != nil {
		return answered(x, err)
	}
	sealed, err := key.Encrypt(ctx, []byte("content"), []byte("header"))
	if err != nil {
		return err
	}
	again, err := x.Unwrap(ctx, "kw", "v1", "A256GCM", wrapped.Encrypted, plugin.Agreement{})
	if err != nil {
		return err
	}
	nonce, ciphertext, tag := sealed[:12], sealed[12:len(sealed)-16], sealed[len(sealed)-16:]
	plaintext, err := again.Decrypt(ctx, nonce, ciphertext, tag, []byte("header"))
	_, forged := again.Decrypt(ctx, nonce, ciphertext, tag, []byte("other"))
	dropped := errors.Join(key.Drop(ctx), again.Drop(ctx))
	_, gone := key.Encrypt(ctx, nil, nil)
	_, malformed := x.Unwrap(ctx, "kw", "", "A256GCM", wrapped.Encrypted, plugin.Agreement{APU: "not base64url!"})
	return answered(x, string(plaintext), err, errors.Is(forged, plugin.ErrMismatch), dropped,
		errors.Is(gone, plugin.ErrUnknown), errors.Is(malformed, plugin.ErrMalformed))
}

// hoard makes keys for content until it may have no more.
func hoard(ctx context.Context, x *plugin.Exchange) error {
	for n := 0; ; n++ {
		if _, _, err := x.NewContentKey(ctx, "kw", "A128GCM"); err != nil {
			return answered(x, n, err)
		}
	}
}

// large has the host say back what fills several batches.
func large(ctx context.Context, x *plugin.Exchange) error {
	sealed, err := x.Seal(ctx, "data", make([]byte, 4<<20), nil)
	return answered(x, len(sealed), err)
}

// keyed is a source of keys, and of nothing else.
type keyed struct {
	subject
	host  *plugin.Host
	asked int
}

// Start follows plugin.Starter.
func (k *keyed) Start(_ context.Context, h *plugin.Host) error {
	k.host = h
	return nil
}

// Keys follows plugin.KeySource: there is one version more each time.
func (k *keyed) Keys(ctx context.Context, name string) ([]plugin.KeyVersion, error) {
	switch name {
	case "none":
		return nil, errors.New("there is no such key")
	case "panic":
		panic("at the safe")
	case "hang":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	secret, err := k.host.Secret(ctx, "token")
	if err != nil {
		return nil, err
	}
	k.asked++
	var versions []plugin.KeyVersion
	for n := k.asked; n > 0; n-- {
		versions = append(versions, plugin.KeyVersion{ID: fmt.Sprint("v", n), Material: fmt.Append(nil, name, " ", n, " ", string(secret))})
	}
	return versions, nil
}
