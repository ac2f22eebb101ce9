//go:build race

package capability

const raceDetector = true // it makes everything ten times slower
