//go:build race

package race

// Enabled reports whether the race detector watches: it makes all else ten times slower, makes pools forget at random,
// and sees nothing of guests.
const Enabled = true
