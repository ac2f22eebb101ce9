//go:build race

package meter

const raceDetector = true // it sees nothing of guests, and makes compiling them slow
