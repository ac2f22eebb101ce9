package state

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// remote is what one policy remembers in the shared store. Its keys are
// "prefix:policy:key": neither of the first two has a colon in it, so that no two
// of the three give one name.
//
// A value is a string of its mark, its version and its bytes; a counter is
// Redis's; a bucket is a hash; a window is a string of another mark. Times are Redis's own, the same for all hosts.
type remote struct {
	server *server
	prefix string
	counts
}

var _ backend = (*remote)(nil)

func newRemote(s *server, policy string) *remote {
	return &remote{server: s, prefix: s.prefix + policy + ":"}
}

func (r *remote) name(key []byte) string { return r.prefix + string(key) }

// mark begins a value: no counter does.
const mark = 'v'

// headBytes are the mark and the version.
const headBytes = 1 + 8

func head(version uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{mark}, version)
}

// draw returns a version that no other value has had, as good as certainly, also
// when the key was gone meanwhile.
func draw() uint64 {
	for {
		if v := rand.Uint64(); v != 0 {
			return v
		}
	}
}

func (r *remote) get(ctx context.Context, key []byte) (value []byte, version uint64, err error) {
	err = r.server.do(ctx, func(ctx context.Context) error {
		raw, err := r.server.client.Get(ctx, r.name(key)).Bytes()
		if err != nil {
			return err
		}
		if len(raw) < headBytes || raw[0] != mark {
			return ErrKind
		}
		value, version = raw[headBytes:], binary.BigEndian.Uint64(raw[1:])
		return nil
	})
	return value, version, err
}

func (r *remote) set(ctx context.Context, key, value []byte, ttl time.Duration) (version uint64, err error) {
	version = draw()
	err = r.server.do(ctx, func(ctx context.Context) error {
		return r.server.client.Set(ctx, r.name(key), append(head(version), value...), ttl).Err()
	})
	return drawn(version, err)
}

func (r *remote) setIf(ctx context.Context, key, value []byte, ttl time.Duration, version uint64) (uint64, error) {
	fresh := draw()
	stored := append(head(fresh), value...)
	err := r.server.do(ctx, func(ctx context.Context) error {
		if version == 0 {
			done, err := r.server.client.SetNX(ctx, r.name(key), stored, ttl).Result()
			return refused(done, err)
		}
		done, err := r.run(ctx, setIfScript, key, head(version), stored, ttl.Milliseconds()).Bool()
		return refused(done, err)
	})
	return drawn(fresh, err)
}

func refused(done bool, err error) error {
	if err == nil && !done {
		return ErrCAS
	}
	return err
}

// drawn leaves out the version of what was not stored.
func drawn(version uint64, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	return version, nil
}

func (r *remote) remove(ctx context.Context, key []byte) error {
	return r.server.do(ctx, func(ctx context.Context) error {
		n, err := r.server.client.Del(ctx, r.name(key)).Result()
		if err == nil && n == 0 {
			return ErrNotFound
		}
		return err
	})
}

func (r *remote) removeIf(ctx context.Context, key []byte, version uint64) error {
	return r.server.do(ctx, func(ctx context.Context) error {
		n, err := r.run(ctx, removeIfScript, key, head(version)).Int()
		if err == nil && n < 0 {
			return ErrNotFound
		}
		return refused(n == 1, err)
	})
}

func (r *remote) add(ctx context.Context, key []byte, delta int64, ttl time.Duration) (sum int64, err error) {
	err = r.server.do(ctx, func(ctx context.Context) error {
		var err error
		sum, err = r.run(ctx, addScript, key, delta, ttl.Milliseconds()).Int64()
		return err
	})
	return sum, err
}

func (r *remote) take(ctx context.Context, key []byte, b Bucket, n uint32) (Taken, error) {
	each := strconv.FormatFloat(b.each(), 'g', -1, 64)
	return r.taken(ctx, takeScript, key, b.Burst, each, n, grain)
}

func (r *remote) window(ctx context.Context, key []byte, w Window, n uint32) (Taken, error) {
	return r.taken(ctx, windowScript, key, w.Limit, w.size(), n, windowParts)
}

// taken runs a script that says what was taken.
func (r *remote) taken(ctx context.Context, s *redis.Script, key []byte, args ...any) (taken Taken, err error) {
	err = r.server.do(ctx, func(ctx context.Context) error {
		result, err := r.run(ctx, s, key, args...).Int64Slice()
		if err != nil {
			return err
		}
		taken = Taken{
			Allowed: result[0] == 1, Remaining: uint32(result[1]),
			RetryAfter: time.Duration(result[2]) * time.Microsecond,
		}
		return nil
	})
	return taken, err
}

func (r *remote) run(ctx context.Context, s *redis.Script, key []byte, args ...any) *redis.Cmd {
	return s.Run(ctx, r.server.client, []string{r.name(key)}, args...)
}
