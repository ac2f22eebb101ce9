package main

import (
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

const root = "../../.."

// TestTour runs every line of README.md's tour as it stands, against the real
// binary on the real proxy.toml; only the ports are free ones.
func TestTour(t *testing.T) {
	hosttest.Tour{
		Root:  root,
		Page:  "README.md",
		Files: []string{"proxy.toml", "policies"},
		Start: "./ergo run &",
		Tools: []string{"curl", "sed", "grep"},
	}.Run(t)
}
