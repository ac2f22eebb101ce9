//go:build race

package policies

const raceDetector = true // it makes pools forget at random
