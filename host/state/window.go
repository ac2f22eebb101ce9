package state

import (
	"encoding/binary"
	"math"
	"time"
)

// Window admits so many in any time of this length.
type Window struct {
	Limit uint32
	Per   time.Duration // in whole milliseconds
}

// windowParts are how many parts of a window are counted apart. What was admitted
// counts until its part has wholly left the window: never for less than the window,
// and for a hundredth more at most.
const windowParts = 100

func (w Window) sound() bool {
	return w.Limit > 0 && w.Per >= time.Millisecond && w.Per <= MaxTTL/2
}

// size is the length of a part in microseconds.
func (w Window) size() int64 { return int64(w.Per/time.Microsecond) / windowParts }

// tally is what was admitted lately: for each part in which something was, its
// number since the clock's begin and a count, oldest first, each in partBytes.
type tally []byte

const partBytes = 8 + 4

func (t tally) part(at int) (number int64, count uint32) {
	return int64(binary.BigEndian.Uint64(t[at:])), binary.BigEndian.Uint32(t[at+8:])
}

// append adds to the last part, or a part.
func (t tally) append(number int64, count uint32) tally {
	if last := len(t) - partBytes; last >= 0 {
		if n, c := t.part(last); n == number {
			binary.BigEndian.PutUint32(t[last+8:], c+count)
			return t
		}
	}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(t, uint64(number)), count)
}

// admit returns what the tally becomes, too, in memory of its own; refused, it
// stays as it is. The same arithmetic in the same order stands in windowScript.
func (t tally) admit(w Window, n uint32, now int64) (tally, Taken) {
	current, kept, sum := now/w.size(), tally(nil), int64(0)
	for at := 0; at < len(t); at += partBytes {
		number, count := t.part(at)
		number = min(number, current) // a clock was set back
		if number >= current-windowParts {
			kept = kept.append(number, count)
			sum += int64(count)
		}
	}
	if sum+int64(n) > int64(w.Limit) {
		return t, Taken{Remaining: left(w.Limit, sum), RetryAfter: kept.until(w, sum+int64(n), now)}
	}
	if n == 0 {
		return t, Taken{Allowed: true, Remaining: left(w.Limit, sum)}
	}
	return kept.append(current, n), Taken{Allowed: true, Remaining: left(w.Limit, sum+int64(n))}
}

// until is how long it takes until so many have left that what remains of a sum
// is within the limit.
func (t tally) until(w Window, sum, now int64) time.Duration {
	for at := 0; at < len(t); at += partBytes {
		number, count := t.part(at)
		if sum -= int64(count); sum <= int64(w.Limit) {
			return w.leaves(number, now)
		}
	}
	panic("a window refuses what is more than its limit")
}

// leaves is how long a part is still counted.
func (w Window) leaves(part, now int64) time.Duration {
	return time.Duration((part+windowParts+1)*w.size()-now) * time.Microsecond
}

func left(limit uint32, sum int64) uint32 {
	return uint32(min(max(int64(limit)-sum, 0), math.MaxUint32))
}
