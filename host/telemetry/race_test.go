//go:build race

package telemetry

const raceDetector = true // it makes pools forget at random
