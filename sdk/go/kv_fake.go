//go:build !wasip1

package guest

import (
	"encoding/binary"
	"math"
)

// FakeEntry is what one key of ergo_kv holds in a Fake. In a Fake no time passes:
// nothing ends and no token comes back.
type FakeEntry struct {
	Value   []byte
	Version uint64 // 0 unless it is a value
	Counter int64
	Tokens  uint32

	Admitted uint32 // to a window
	Kind     string // "value", "counter", "bucket" or "window"
}

func (f *Fake) entry(key string) (*FakeEntry, bool) {
	if f.KV == nil {
		f.KV = map[string]*FakeEntry{}
	}
	e, there := f.KV[key]
	return e, there
}

// kvRefused is the status of an operation that does not get to its key.
func kvRefused(key string) uint32 {
	switch {
	case key == "" || len(key) > 512:
		return 2
	case current.KVDown:
		return 8
	}
	return 0
}

func kvGet(key string, buf []byte, result *[12]byte) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	e, there := current.entry(key)
	switch {
	case !there:
		return 1
	case e.Kind != "value":
		return 5
	}
	binary.LittleEndian.PutUint64(result[:], e.Version)
	binary.LittleEndian.PutUint32(result[8:], give(string(e.Value), buf))
	return 0
}

func kvSet(key string, value []byte, _ uint64, result *[8]byte) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	current.entry(key)
	current.kvVersion++
	current.KV[key] = &FakeEntry{Value: append([]byte(nil), value...), Version: current.kvVersion, Kind: "value"}
	binary.LittleEndian.PutUint64(result[:], current.kvVersion)
	return 0
}

func kvSetIf(key string, value []byte, ttl, version uint64, result *[8]byte) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	if e, there := current.entry(key); there != (version != 0) || there && e.Version != version {
		return 4
	}
	return kvSet(key, value, ttl, result)
}

func kvDelete(key string) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	if _, there := current.entry(key); !there {
		return 1
	}
	delete(current.KV, key)
	return 0
}

func kvDeleteIf(key string, version uint64) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	if e, there := current.entry(key); there && (version == 0 || e.Version != version) {
		return 4
	}
	return kvDelete(key)
}

func kvAdd(key string, delta int64, _ uint64, result *[8]byte) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	e, there := current.entry(key)
	if !there {
		e = &FakeEntry{Kind: "counter"}
	}
	switch {
	case e.Kind != "counter":
		return 5
	case delta > 0 && e.Counter > math.MaxInt64-delta, delta < 0 && e.Counter < math.MinInt64-delta:
		return 6
	}
	if there || delta != 0 {
		e.Counter += delta
		current.KV[key] = e
	}
	binary.LittleEndian.PutUint64(result[:], uint64(e.Counter))
	return 0
}

func kvTake(key string, b KVBucket, n uint32, result *[16]byte) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	if b.Tokens == 0 || b.PerMS == 0 || b.Burst == 0 || n > b.Burst {
		return 2
	}
	e, there := current.entry(key)
	if !there {
		e = &FakeEntry{Kind: "bucket", Tokens: b.Burst}
	}
	if e.Kind != "bucket" {
		return 5
	}
	*result = [16]byte{}
	if e.Tokens >= n {
		if n > 0 {
			e.Tokens -= n
			current.KV[key] = e
		}
		result[12] = 1
	} else {
		wait := (uint64(n-e.Tokens)*uint64(b.PerMS) + uint64(b.Tokens) - 1) / uint64(b.Tokens)
		binary.LittleEndian.PutUint64(result[:], wait)
	}
	binary.LittleEndian.PutUint32(result[8:], e.Tokens)
	return 0
}

// kvWindow admits; no time passes here, so nothing leaves a window.
func kvWindow(key string, w KVWindow, n uint32, result *[16]byte) uint32 {
	if status := kvRefused(key); status != 0 {
		return status
	}
	if w.Limit == 0 || w.PerMS == 0 || n > w.Limit {
		return 2
	}
	e, there := current.entry(key)
	if !there {
		e = &FakeEntry{Kind: "window"}
	}
	if e.Kind != "window" {
		return 5
	}
	*result = [16]byte{}
	if e.Admitted+n <= w.Limit {
		if n > 0 {
			e.Admitted += n
			current.KV[key] = e
		}
		result[12] = 1
	} else {
		binary.LittleEndian.PutUint64(result[:], uint64(w.PerMS))
	}
	binary.LittleEndian.PutUint32(result[8:], w.Limit-min(e.Admitted, w.Limit))
	return 0
}
