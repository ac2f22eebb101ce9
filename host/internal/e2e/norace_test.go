//go:build !race

package e2e

const compileSlow = false
