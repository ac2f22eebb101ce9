//go:build race

package e2e

const raceDetector = true // the compiler takes 20 s for a module of Go under it
