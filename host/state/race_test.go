//go:build race

package state

const raceDetector = true // it makes everything ten times slower
