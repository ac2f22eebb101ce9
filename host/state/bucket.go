package state

import (
	"math"
	"time"
)

// Bucket says how many tokens a bucket holds, and how they come back: one by one,
// Tokens of them in the time Per. It takes at most MaxTTL to become full.
type Bucket struct {
	Tokens uint32
	Per    time.Duration // in whole milliseconds
	Burst  uint32
}

func (b Bucket) sound() bool {
	return b.Tokens > 0 && b.Burst > 0 && b.Per >= time.Millisecond && b.Per <= MaxTTL &&
		b.each()*float64(b.Burst) <= float64(MaxTTL/time.Microsecond)
}

// each is the time in microseconds in which a token comes back.
func (b Bucket) each() float64 {
	return float64(b.Per/time.Millisecond) * 1000 / float64(b.Tokens)
}

// Taken is what came of taking from a bucket, or of asking for a window's place.
type Taken struct {
	Allowed    bool
	Remaining  uint32        // whole tokens, or places
	RetryAfter time.Duration // until there would be enough; 0 if there were
}

// level is what a bucket held at a time, in microseconds of any clock. The same
// arithmetic in the same order stands in takeScript: both stores give the same
// answers.
type level struct {
	tokens float64
	at     float64
}

// grain is less than any difference that is meant, and more than what rounding
// makes of a number of tokens: who waits as long as it was told gets its tokens.
const grain = 1e-6

// take returns what the level becomes, too; refused, it stays as it is.
func (l level) take(b Bucket, n uint32, now float64) (level, Taken) {
	each, burst := b.each(), float64(b.Burst)
	tokens := math.Min(burst, l.tokens+math.Max(0, now-l.at)/each)
	if tokens+grain < float64(n) {
		wait := math.Ceil((float64(n) - tokens) * each)
		return l, Taken{Remaining: whole(tokens), RetryAfter: time.Duration(wait) * time.Microsecond}
	}
	if n == 0 {
		return l, Taken{Allowed: true, Remaining: whole(tokens)}
	}
	tokens -= float64(n)
	return level{tokens, now}, Taken{Allowed: true, Remaining: whole(tokens)}
}

func whole(tokens float64) uint32 { return uint32(math.Max(0, math.Floor(tokens+grain))) }

// full is how long it takes until the bucket is full again.
func (l level) full(b Bucket) time.Duration {
	return time.Duration(math.Ceil((float64(b.Burst)-l.tokens)*b.each())) * time.Microsecond
}
