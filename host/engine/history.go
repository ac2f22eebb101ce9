package engine

import (
	"slices"
	"sync"
	"time"
)

// Record is one attempt to change the running generation.
type Record struct {
	Time      time.Time     `json:"time"`
	Cause     string        `json:"cause"` // "start", "swap", "watch", "signal" or "rollback"
	From      uint64        `json:"from"`  // 0 at the start
	To        uint64        `json:"to"`    // From if it was refused
	Digest    string        `json:"digest,omitempty"`
	Refused   bool          `json:"refused,omitempty"`
	Problems  []string      `json:"problems,omitempty"` // why it was refused
	Changes   []string      `json:"changes,omitempty"`  // what is new in To
	Took      time.Duration `json:"took_ns"`
	Reachable bool          `json:"reachable"` // a rollback can reach To
	Running   bool          `json:"running"`   // To is the running generation
}

// maxRecords bounds what a host remembers of its swaps.
const maxRecords = 1000

// history is the list of records, oldest first.
type history struct {
	mu      sync.Mutex
	records []Record
}

func (h *history) add(r Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
	if surplus := len(h.records) - maxRecords; surplus > 0 {
		h.records = slices.Delete(h.records, 0, surplus)
	}
}

func (h *history) list() []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.records)
}
