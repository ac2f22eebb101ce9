package guest

import (
	"encoding/binary"
	"errors"
)

// Why the host refused an operation of ergo_kv. ErrNotFound and ErrBadArgument
// are others.
var (
	ErrChanged     = errors.New("the key has another version")
	ErrKind        = errors.New("the key holds another kind")
	ErrOverflow    = errors.New("the counter would overflow")
	ErrFull        = errors.New("the policy's state is full")
	ErrUnavailable = errors.New("the shared store is not available")
)

// KVGet returns the value of a key and its version, or ErrNotFound. What a policy
// keeps by ergo_kv outlives its instances and its versions; all these functions
// need the grant of that name, and each is atomic. A key is 1 to 512 bytes.
func KVGet(key string) (value []byte, version uint64, err error) {
	var result [12]byte
	buf := scratch[:]
	for {
		if err := kvError(kvGet(key, buf, &result)); err != nil {
			return nil, 0, err
		}
		length := int(binary.LittleEndian.Uint32(result[8:]))
		if length <= len(buf) {
			return append([]byte(nil), buf[:length]...), binary.LittleEndian.Uint64(result[:]), nil
		}
		buf = make([]byte, length)
	}
}

// KVSet sets a value, whatever is there, and returns its version, which is never
// 0. It ends after ttlMS milliseconds, up to 366 days; 0 is for ever.
func KVSet(key string, value []byte, ttlMS uint64) (version uint64, err error) {
	var result [8]byte
	err = kvError(kvSet(key, value, ttlMS, &result))
	return binary.LittleEndian.Uint64(result[:]), err
}

// KVSetIf sets a value if the key has the value of this version; with version 0,
// if it has nothing. Else it returns ErrChanged.
func KVSetIf(key string, value []byte, ttlMS, version uint64) (fresh uint64, err error) {
	var result [8]byte
	err = kvError(kvSetIf(key, value, ttlMS, version, &result))
	return binary.LittleEndian.Uint64(result[:]), err
}

// KVDelete removes what is there, or returns ErrNotFound.
func KVDelete(key string) error { return kvError(kvDelete(key)) }

// KVDeleteIf removes the value of this version, or returns ErrNotFound or
// ErrChanged.
func KVDeleteIf(key string, version uint64) error { return kvError(kvDeleteIf(key, version)) }

// KVAdd adds to a counter and returns the sum. A counter that is not there begins
// with 0 and ends after ttlMS milliseconds; a delta of 0 makes none.
func KVAdd(key string, delta int64, ttlMS uint64) (sum int64, err error) {
	var result [8]byte
	err = kvError(kvAdd(key, delta, ttlMS, &result))
	return int64(binary.LittleEndian.Uint64(result[:])), err
}

// KVBucket says how tokens come back to a bucket: one by one, Tokens of them in
// PerMS milliseconds, up to Burst.
type KVBucket struct{ Tokens, PerMS, Burst uint32 }

// KVTaken is what came of taking tokens, or of asking for admission.
type KVTaken struct {
	Allowed      bool
	Remaining    uint32
	RetryAfterMS uint64 // 0 if allowed
}

// KVTake takes n tokens out of a bucket, all or none. A bucket that is not there is
// full; with n 0 it only looks.
func KVTake(key string, bucket KVBucket, n uint32) (KVTaken, error) {
	var result [16]byte
	return taken(&result, kvTake(key, bucket, n, &result))
}

// KVWindow admits no more than Limit in any time of PerMS milliseconds. What was
// admitted counts for that long, and for a hundredth more at most.
type KVWindow struct{ Limit, PerMS uint32 }

// KVAdmit admits n to a window, all or none; with n 0 it only looks.
func KVAdmit(key string, window KVWindow, n uint32) (KVTaken, error) {
	var result [16]byte
	return taken(&result, kvWindow(key, window, n, &result))
}

func taken(result *[16]byte, status uint32) (KVTaken, error) {
	if err := kvError(status); err != nil {
		return KVTaken{}, err
	}
	return KVTaken{
		RetryAfterMS: binary.LittleEndian.Uint64(result[:]),
		Remaining:    binary.LittleEndian.Uint32(result[8:]),
		Allowed:      result[12] != 0,
	}, nil
}

func kvError(status uint32) error {
	switch status {
	case 0:
		return nil
	case 1:
		return ErrNotFound
	case 4:
		return ErrChanged
	case 5:
		return ErrKind
	case 6:
		return ErrOverflow
	case 7:
		return ErrFull
	case 8:
		return ErrUnavailable
	}
	return ErrBadArgument
}
