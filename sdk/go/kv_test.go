//go:build !wasip1

package guest

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestKV(t *testing.T) {
	f := NewFake("GET", "/")
	f.Run(func() {
		is := func(err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		_, _, err := KVGet("k")
		is(err, ErrNotFound)
		large := bytes.Repeat([]byte("v"), 10_000)
		first, err := KVSet("k", large, 1000)
		is(err, nil)
		value, version, err := KVGet("k")
		is(err, nil)
		if !bytes.Equal(value, large) || version != first || version == 0 {
			t.Errorf("got %d bytes of version %d, want %d of %d", len(value), version, len(large), first)
		}
		_, err = KVSetIf("k", nil, 0, 0)
		is(err, ErrChanged)
		second, err := KVSetIf("k", []byte("two"), 0, first)
		is(err, nil)
		is(KVDeleteIf("k", first), ErrChanged)
		is(KVDeleteIf("k", second), nil)
		is(KVDelete("k"), ErrNotFound)
		_, err = KVSetIf("k", []byte("three"), 0, 0)
		is(err, nil)
		is(KVDelete("k"), nil)
		_, err = KVSet(strings.Repeat("k", 513), nil, 0)
		is(err, ErrBadArgument)

		sum, err := KVAdd("n", -5, 0)
		is(err, nil)
		if sum != -5 {
			t.Errorf("got %d, want -5", sum)
		}
		_, err = KVAdd("n", math.MinInt64, 0)
		is(err, ErrOverflow)
		_, _, err = KVGet("n")
		is(err, ErrKind)

		bucket := KVBucket{Tokens: 2, PerMS: 1000, Burst: 3}
		taken, err := KVTake("b", bucket, 2)
		is(err, nil)
		if want := (KVTaken{Allowed: true, Remaining: 1}); taken != want {
			t.Errorf("got %+v, want %+v", taken, want)
		}
		taken, err = KVTake("b", bucket, 3)
		is(err, nil)
		if want := (KVTaken{Remaining: 1, RetryAfterMS: 1000}); taken != want {
			t.Errorf("got %+v, want %+v", taken, want)
		}
		window := KVWindow{Limit: 3, PerMS: 1000}
		taken, err = KVAdmit("w", window, 2)
		is(err, nil)
		if want := (KVTaken{Allowed: true, Remaining: 1}); taken != want {
			t.Errorf("got %+v, want %+v", taken, want)
		}
		taken, err = KVAdmit("w", window, 2)
		is(err, nil)
		if want := (KVTaken{Remaining: 1, RetryAfterMS: 1000}); taken != want {
			t.Errorf("got %+v, want %+v", taken, want)
		}
		_, err = KVAdmit("w", window, 4)
		is(err, ErrBadArgument)
		_, err = KVAdmit("b", window, 1)
		is(err, ErrKind)
		is(kvError(7), ErrFull)
		f.KVDown = true
		_, err = KVAdd("n", 1, 0)
		is(err, ErrUnavailable)
	})
}
