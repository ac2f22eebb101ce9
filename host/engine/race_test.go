//go:build race

package engine

const raceDetector = true // it makes everything ten times slower
