package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergoproxy/ergo/host/engine/disk"
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

func TestIDsGoOnWithoutTheArchive(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("1")}, nil))
	b.swap(b.manifest([]string{mark("2")}, nil))
	if err := b.e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(disk.ArchiveIn(filepath.Join(b.folder, "data", "both"))); err != nil {
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
