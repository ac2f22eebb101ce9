package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHistorySurvivesARestart(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("1")}, nil))
	b.swap(b.manifest([]string{mark("2")}, nil))
	if _, err := b.e.Swap(context.Background(), "watch", b.manifest([]string{`{ mrak = "3" }`}, nil)); err == nil {
		t.Fatal("the swap was not refused")
	}
	before := b.e.History()
	b.start()
	if _, err := b.e.Swap(context.Background(), "start", b.manifest([]string{`{ mrak = "4" }`}, nil)); err == nil {
		t.Fatal("the start was not refused")
	}
	b.swap(b.manifest([]string{mark("5")}, nil))
	after := b.e.History()
	if len(after) != 5 {
		t.Fatalf("got %d records, want three from before and two from now: %+v", len(after), after)
	}
	for i, old := range before {
		if got := after[i]; !got.Time.Equal(old.Time) || got.To != old.To || got.Cause != old.Cause || len(got.Problems) != len(old.Problems) {
			t.Errorf("record %d is %+v, was %+v", i, got, old)
		}
	}
	if !after[1].Reachable || after[1].Running || after[2].Reachable || !after[2].Refused {
		t.Errorf("of the old ones, the second can be reached and the third not: %+v", after[:3])
	}
	if last := after[4]; last.To != 3 || !last.Running || last.From != 0 {
		t.Errorf("the last is %+v, want generation 3, running, from none", last)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	var h history
	if err := h.open(path); err != nil {
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
		if err := h.add(r); err != nil {
			t.Fatal(err)
		}
		if h.lines > 2*maxRecords {
			t.Fatalf("the file has %d lines", h.lines)
		}
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	var again history
	if err := again.open(path); err != nil {
		t.Fatal(err)
	}
	defer again.close()
	for _, records := range [][]Record{h.list(), again.list()} {
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
	var h history
	if err := h.open(path); err != nil {
		t.Fatal(err)
	}
	if err := h.add(Record{Time: time.Now(), To: 8}); err != nil {
		t.Fatal(err)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	records, err := readRecords(path)
	if err != nil || len(records) != 2 || records[0].To != 7 || records[1].To != 8 {
		t.Errorf("got %+v, %v; want the two whole records", records, err)
	}
}

func TestIDsGoOnWithoutTheArchive(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("1")}, nil))
	b.swap(b.manifest([]string{mark("2")}, nil))
	if err := b.e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(archiveIn(filepath.Join(b.folder, "data", "both"))); err != nil {
		t.Fatal(err)
	}
	b.start()
	if got := b.swap(b.manifest([]string{mark("3")}, nil)).To; got != 3 {
		t.Errorf("got generation %d, want 3: history tells of two before", got)
	}
}

func TestDataThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	b := newBench(t)
	blocked := filepath.Join(b.folder, "data", "both", "history.jsonl")
	if err := os.MkdirAll(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	from := b.manifest([]string{mark("1")}, nil)
	if _, err := b.e.Swap(context.Background(), "start", from); err != nil || b.e.disk != nil {
		t.Fatalf("got %v, disk %v: want a start without a disk", err, b.e.disk)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	b.swap(b.manifest([]string{mark("2")}, nil)) // the lock was given back
	if n := len(b.e.History()); n != 2 || b.e.disk == nil || b.e.Status().Generation.ID != 2 {
		t.Errorf("%d records, disk %v, generation %d", n, b.e.disk, b.e.Status().Generation.ID)
	}
}

func TestRefusedWithoutAnId(t *testing.T) {
	b := newBench(t)
	_, err := b.e.Rollback(context.Background(), 1)
	if !errors.Is(err, ErrNoGeneration) {
		t.Errorf("got %v, want ErrNoGeneration", err)
	}
	if records := b.e.History(); len(records) != 1 || !records[0].Refused || records[0].Running {
		t.Errorf("got %+v", records)
	}
}
