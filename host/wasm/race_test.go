//go:build race

package wasm

const raceDetector = true // it sees nothing of guests, and makes compiling them slow
