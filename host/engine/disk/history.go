package disk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// Bounds of what a host remembers of its swaps.
const (
	maxRecords   = 1000
	maxLines     = 50  // problems or changes of a record
	maxLineBytes = 500 // of each
)

// History is the list of records, oldest first. Once it is opened it is kept in
// a file too, one record on a line, so that it goes on after a restart. The zero value is empty, in memory only. It is safe for
// concurrent use.
type History struct {
	mu      sync.Mutex
	records []Record
	path    string
	file    *os.File // nil: in memory only
	lines   int      // in the file
}

// Open takes over what the file holds and keeps the records from then on. Lines
// that a crash left behind unfinished are dropped.
func (h *History) Open(path string) error {
	before, err := readRecords(path)
	if err != nil {
		return fmt.Errorf("open history: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	since := h.records
	h.path, h.records = path, append(before, since...)
	if err := h.rewrite(); err != nil {
		h.path, h.records = "", since // the next try reads it again
		return err
	}
	return nil
}

func readRecords(path string) ([]Record, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []Record
	for line := range bytes.Lines(text) {
		var r Record
		if json.Unmarshal(line, &r) == nil && !r.Time.IsZero() {
			records = append(records, r)
		}
	}
	return records, nil
}

// rewrite drops what is too old and writes the file anew. The lock is held.
func (h *History) rewrite() error {
	h.trim()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	for _, r := range h.records {
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	err := errors.Join(h.closeFile(), writeFile(h.path, text.Bytes()))
	if err == nil {
		h.file, err = os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	h.lines = len(h.records)
	return nil
}

func (h *History) trim() {
	if surplus := len(h.records) - maxRecords; surplus > 0 {
		h.records = slices.Delete(h.records, 0, surplus)
	}
}

// Add appends a record. The error says why it is in memory only.
func (h *History) Add(r Record) error {
	r.Problems, r.Changes = few(r.Problems), few(r.Changes)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
	h.trim()
	if h.file == nil {
		return nil
	}
	if h.lines >= 2*maxRecords {
		return h.rewrite()
	}
	line := bufio.NewWriter(h.file)
	if err := errors.Join(json.NewEncoder(line).Encode(r), line.Flush()); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	h.lines++
	return nil
}

// few cuts what a record holds to its bounds.
func few(lines []string) []string {
	if surplus := len(lines) - maxLines; surplus > 0 {
		lines = append(slices.Clone(lines[:maxLines]), fmt.Sprintf("and %d more", surplus))
	}
	for i, line := range lines {
		if len(line) > maxLineBytes {
			lines = slices.Clone(lines)
			lines[i] = line[:maxLineBytes] + "..."
		}
	}
	return lines
}

// List returns the records, oldest first.
func (h *History) List() []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.records)
}

// LastID returns the newest generation that a record tells of.
func (h *History) LastID() uint64 {
	var last uint64
	for _, r := range h.List() {
		last = max(last, r.To)
	}
	return last
}

// Close ends the file; the records stay.
func (h *History) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closeFile()
}

func (h *History) closeFile() error {
	if h.file == nil {
		return nil
	}
	file := h.file
	h.file = nil
	return file.Close()
}
