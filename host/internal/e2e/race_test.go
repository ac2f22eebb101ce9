//go:build race

package e2e

// compileSlow: under the race detector the compiler takes 20 s for a module of Go.
const compileSlow = true
