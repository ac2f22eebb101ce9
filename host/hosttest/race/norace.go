//go:build !race

// Package race tells tests of the race detector.
package race

// Enabled reports whether the race detector watches.
const Enabled = false
