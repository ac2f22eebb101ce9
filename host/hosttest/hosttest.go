// Package hosttest has in-process backends, certificates and helpers for the
// tests of the host. Everything it starts ends with the test that started it.
package hosttest

import (
	"testing"
	"time"
)

// patience is how long Eventually waits. It is far beyond what anything takes,
// so that only what never happens fails.
const patience = time.Minute

// Eventually waits until condition holds, and fails the test if it does not
// within 15 seconds. It is called on the test's goroutine.
func Eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; !condition(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(pause)
	}
}
