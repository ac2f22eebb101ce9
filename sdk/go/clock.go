package guest

// Now returns the time in nanoseconds since 1970-01-01T00:00:00Z. Like all
// functions of ergo_clock it needs the grant of that name. They take no time.Time,
// because package time alone would make every module a tenth larger.
func Now() int64 { return clockWall() }

// Monotonic returns a time in nanoseconds that never goes back, to measure how
// long something took.
func Monotonic() int64 { return clockMonotonic() }

// Began returns when the request's head was complete, on the clock of [Monotonic].
func Began() int64 { return clockBegan() }

// Remaining returns how many nanoseconds the exchange has until its deadline, 0
// once that has passed; bounded is false if there is none.
func Remaining() (nanoseconds int64, bounded bool) {
	left := clockRemaining()
	return left, left != 1<<63-1
}
