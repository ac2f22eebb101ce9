//go:build race

package cache

const raceDetector = true // it makes everything ten times slower
