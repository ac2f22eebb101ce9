package disk

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

func open(t *testing.T, folder string) *Disk {
	t.Helper()
	var h History
	d, err := Open(folder, &h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), d.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestArchive(t *testing.T) {
	a := open(t, t.TempDir()).Archive
	for id := range uint64(12) {
		if err := a.Save(Entry{ID: id, Path: "proxy.toml", Manifest: []byte("text"), Artifacts: map[string]string{"p": "d"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.KeepNewest(5), a.RemoveAfter(9)); err != nil {
		t.Fatal(err)
	}
	if ids, err := a.IDs(); !slices.Equal(ids, []uint64{7, 8, 9}) || err != nil {
		t.Errorf("got %v, %v; want 7 to 9", ids, err)
	}
	if entry, err := a.Load(8); err != nil || entry.ID != 8 || string(entry.Manifest) != "text" || entry.Artifacts["p"] != "d" {
		t.Errorf("got %+v, %v", entry, err)
	}
	if _, err := a.Load(3); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("one that is gone: %v", err)
	}
}

func TestFolderBelongsToOne(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no lock here that ends with the process")
	}
	folder := filepath.Join(t.TempDir(), "both")
	d := open(t, folder)
	if _, err := Open(folder, new(History)); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	if err := d.lock.Close(); err != nil {
		t.Fatal(err)
	}
	var h History
	again, err := Open(folder, &h)
	if err != nil {
		t.Fatal(err)
	}
	d.lock = again.lock // closed by the test's end
	h.Close()
}
