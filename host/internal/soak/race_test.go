//go:build race

package main

const raceDetector = true // 2,000 swaps take four minutes under it
