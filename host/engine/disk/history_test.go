package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHistoryIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	var h History
	if err := h.Open(path); err != nil {
		t.Fatal(err)
	}
	long := make([]string, 3*maxLines)
	for i := range long {
		long[i] = strings.Repeat("x", 3*maxLineBytes)
	}
	now := time.Now()
	for n := range uint64(3 * maxRecords) {
		r := Record{Time: now, To: n}
		if n > 3*maxRecords-5 {
			r.Problems = long
		}
		if err := h.Add(r); err != nil {
			t.Fatal(err)
		}
		if h.lines > 2*maxRecords {
			t.Fatalf("the file has %d lines", h.lines)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	var again History
	if err := again.Open(path); err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, records := range [][]Record{h.List(), again.List()} {
		first, last := records[0], records[len(records)-1]
		if len(records) != maxRecords || first.To != 2*maxRecords || last.To != 3*maxRecords-1 {
			t.Errorf("%d records, %d to %d; want the last %d", len(records), first.To, last.To, maxRecords)
		}
		if n := len(last.Problems); n != maxLines+1 || len(last.Problems[0]) > maxLineBytes+3 {
			t.Errorf("a record has %d lines, the first of %d bytes", n, len(last.Problems[0]))
		}
	}
}

func TestHistoryAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	text := `{"time":"2026-01-02T03:04:05Z","cause":"start","to":7}
null
{"time":"2026-01-02T03:04:06Z","cau`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var h History
	if err := h.Open(path); err != nil {
		t.Fatal(err)
	}
	if err := h.Add(Record{Time: time.Now(), To: 8}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	records, err := readRecords(path)
	if err != nil || len(records) != 2 || records[0].To != 7 || records[1].To != 8 {
		t.Errorf("got %+v, %v; want the two whole records", records, err)
	}
}
