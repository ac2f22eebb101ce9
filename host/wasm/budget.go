package wasm

import (
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm/meter"
)

// budget is what a guest may use up in one call: time, and ticks if they are
// bounded. It is the one place that decides when a guest is stopped, and it does
// so when the guest comes to the host: each chunk of ticks, or in a host
// function. Only the guest's own time counts: pause and resume leave out what the
// host waits for.
//
// The clock is not read before the first chunk is used up, which is soon enough:
// what ends before takes microseconds. One goroutine uses it.
type budget struct {
	now     func() time.Duration
	counter api.MutableGlobal // the guest's; nil if it is not metered
	stack   stack

	timeLeft time.Duration // at since
	since    time.Duration // when the clock began or went on
	running  bool
	expired  bool // it was found to be over

	tickLimit uint64 // of one call; 0: none
	ticks     uint64 // of this call, up to when the counter was last looked at
	granted   int32  // what the counter was then
}

// epoch makes reading the clock half as dear: the time since it is monotonic
// alone, the time itself is two readings.
var epoch = time.Now()

func sinceEpoch() time.Duration { return time.Since(epoch) }

// begin starts a call.
func (b *budget) begin(d time.Duration) {
	b.timeLeft, b.running, b.ticks = d, false, 0
	if b.tickLimit > 0 && b.counter != nil {
		b.granted = b.grant()
		b.counter.Set(api.EncodeI32(b.granted))
	}
}

func (b *budget) grant() int32 {
	if b.tickLimit == 0 {
		return meter.Chunk
	}
	return int32(min(b.tickLimit-b.ticks, meter.Chunk))
}

// refill takes what the counter is and returns what it shall be. It traps a guest
// that has used up what it had.
func (b *budget) refill(counter int32) int32 {
	b.count(counter)
	if b.tickLimit > 0 && b.ticks > b.tickLimit {
		b.expired = true
		panic(ErrTicks)
	}
	b.check()
	b.granted = b.grant()
	return b.granted
}

// count adds what was used since the counter was last looked at.
func (b *budget) count(counter int32) {
	b.ticks += uint64(int64(b.granted) - int64(counter))
	b.granted = counter
}

// check traps a guest whose time is up.
func (b *budget) check() {
	if !b.inTime() {
		panic(ErrTime)
	}
}

// inTime has the clock run from its first time on.
func (b *budget) inTime() bool {
	now := b.now()
	if !b.running {
		b.since, b.running = now, true
	}
	if now-b.since > b.timeLeft {
		b.expired = true
	}
	return !b.expired
}

// pause stops the clock.
func (b *budget) pause() {
	if !b.running {
		return
	}
	b.check()
	b.timeLeft -= b.now() - b.since
	b.running = false
}

// resume has the clock go on.
func (b *budget) resume() { b.since, b.running = b.now(), true }

// remaining returns how much time is left, with the clock running.
func (b *budget) remaining() time.Duration {
	b.check()
	return b.timeLeft - (b.now() - b.since)
}

// end stops the clock and counts the call's ticks. It reports false if the time
// was up: then the instance can't be used again.
func (b *budget) end() bool {
	if b.counter != nil {
		b.count(int32(b.counter.Get()))
	}
	if b.running {
		b.inTime()
		b.running = false
	}
	return !b.expired
}
