package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// reopen ends a store, and opens another one on its folder.
func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	o := s.options
	closeStore(t, s)
	return openAgain(t, o)
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// openAgain is open for a store that its test closes.
func openAgain(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func onFolder(t testing.TB, memory, disk int64) Options {
	return Options{MemoryBytes: memory, Disk: filepath.Join(t.TempDir(), "cache"), DiskBytes: disk, Now: func() time.Time { return epoch }}
}

func TestDiskOutlivesTheProcess(t *testing.T) {
	s := openAgain(t, onFolder(t, 16<<20, 64<<20))
	sp := s.Space("p")
	large := strings.Repeat("0123456789abcdef", 200_000)
	put(t, sp, "small", head("v", "tag"), "0123456789")
	put(t, sp, "k", head("v"), "0123456789")
	put(t, sp, "large", head("v"), large)
	put(t, sp, "empty", head("v"), "")
	put(t, sp, "purged", head("v"), "x")
	put(t, sp, "marked", head("v"), "x")
	put(t, sp, "updated", head("v"), "x")
	for key, soft := range map[string]bool{"purged": false, "marked": true} {
		if n, err := sp.Purge(Selector{Exact, key}, soft); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	set := sp.Lookup("updated")
	h := head("v")
	h.Status = 203
	if _, err := sp.Update(set.At(0), h, sp.Now()); err != nil {
		t.Fatal(err)
	}
	set.Close()
	before := sp.Lookup("small")
	want := *before.At(0)
	before.Close()

	s = reopen(t, s)
	defer closeStore(t, s)
	sp = s.Space("p")
	if got := s.Stats(); got.Disk.Entries != 6 || got.Memory.Entries != 0 {
		t.Errorf("got %+v", got)
	}
	after := sp.Lookup("small")
	defer after.Close()
	got := after.At(0)
	if got.Status != want.Status || got.Variant != want.Variant || !bytes.Equal(got.Meta, want.Meta) ||
		!slices.Equal(got.Header.Fields(), want.Header.Fields()) || !slices.Equal(got.Tags, want.Tags) || !got.Stored.Equal(want.Stored) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for key, body := range map[string][]string{
		"small": {"0123456789"}, "large": {large}, "empty": {""}, "purged": nil, "marked": {"x (purged)"}, "updated": {"x"},
	} {
		if got := bodies(t, sp, key); !slices.Equal(got, body) {
			t.Errorf("%s: got %d bodies, want %d, or other ones", key, len(got), len(body))
		}
	}
	updated := sp.Lookup("updated")
	defer updated.Close()
	if updated.At(0).Status != 203 {
		t.Error("the new head is lost")
	}
	testParts(t, sp)
}

// A body is large from the first byte on that makes it so, however it came.
func TestFromWhenOnBodiesAreLarge(t *testing.T) {
	s := openAgain(t, onFolder(t, 1<<20, 64<<20)) // 64 KiB and more are large
	defer closeStore(t, s)
	for size, want := range map[int]bool{64<<10 - 1: false, 64 << 10: true, 64<<10 + 1: true} {
		for _, known := range []bool{false, true} {
			h := head("v")
			if known {
				h.Size = int64(size)
			}
			put(t, s.Space("p"), "k", h, strings.Repeat("x", size))
			set := s.Space("p").Lookup("k")
			r, err := set.At(0).Open(0, -1)
			if err != nil {
				t.Fatal(err)
			}
			if _, got := r.(*Section); got != want {
				t.Errorf("%d bytes, size known: %v: on disk %v, want %v", size, known, got, want)
			}
			_ = r.Close()
			set.Close()
		}
	}
}

func TestLargeBodiesAreSections(t *testing.T) {
	s := openAgain(t, onFolder(t, 1<<20, 64<<20)) // 64 KiB and more are large
	large := make([]byte, 300_000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range large {
		large[i] = byte(random.Uint32())
	}
	put(t, s.Space("p"), "k", head("v"), string(large))
	s = reopen(t, s)
	defer closeStore(t, s)
	set := s.Space("p").Lookup("k")
	defer set.Close()
	for _, part := range [][2]int64{{0, -1}, {100_000, 1000}, {299_999, 10}} {
		r, err := set.At(0).Open(part[0], part[1])
		if err != nil {
			t.Fatal(err)
		}
		want := large[part[0]:]
		if part[1] > 0 {
			want = want[:min(part[1], int64(len(want)))]
		}
		if got := overTCP(t, r.(*Section)); !bytes.Equal(got, want) {
			t.Errorf("%v: got %d bytes, want %d, or other ones", part, len(got), len(want))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// overTCP returns what a connection's peer gets of r.
func overTCP(t *testing.T, r *Section) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan []byte, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			got <- nil
			return
		}
		defer c.Close()
		all, _ := io.ReadAll(c)
		got <- all
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(c, r); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	return <-got
}

// What somebody holds stays readable, whatever becomes of the entry.
func TestPinnedBodiesStay(t *testing.T) {
	s := openAgain(t, onFolder(t, 1<<20, 64<<20))
	defer func() { closeStore(t, s) }()
	put(t, s.Space("p"), "k", head("v"), strings.Repeat("x", 200_000))
	put(t, s.Space("p"), "s", head("v"), "small")
	s = reopen(t, s)
	sp := s.Space("p")
	set, small := sp.Lookup("k"), sp.Lookup("s")
	if n, err := sp.Purge(Selector{Kind: Prefix}, false); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	fresh, err := sp.Update(set.At(0), head("v"), sp.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, err := fresh.Open(0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if got := bodyOf(t, small.At(0)); got != "small" {
		t.Errorf("got %q", got)
	}
	set.Close()
	small.Close()
	if got, err := io.ReadAll(r); len(got) != 200_000 || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	hosttest.Eventually(t, func() bool { return files(t, s) == 1 }, "one file is left while it is read")
	_ = r.Close()
	hosttest.Eventually(t, func() bool { return files(t, s) == 0 && left(s) == 0 }, "no file is left")
	if got := s.Stats(); got.Disk.Entries != 0 || s.disk.bytes != 0 || s.disk.left != 0 || s.held != 0 {
		t.Errorf("got %+v", got)
	}
}

// left is what is to be removed of a disk tier.
func left(s *Store) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disk.left
}

func files(t *testing.T, s *Store) int {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(s.options.Disk, "bodies"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestDiskIsBounded(t *testing.T) {
	const limit = 4 << 20
	s := openAgain(t, onFolder(t, 1<<20, limit))
	defer closeStore(t, s)
	sp := s.Space("p")
	for i := range 3000 {
		size := i % 10_000
		if i%50 == 0 {
			size = 100_000
		}
		// On a slow disk removals lag, and what is new finds no room meanwhile.
		hosttest.Eventually(t, func() bool { return left(s) < limit/16 }, "what is removed is gone")
		put(t, sp, fmt.Sprint(i), head("v"), strings.Repeat("x", size))
		if got := s.Stats(); got.Memory.Bytes > 1<<20 || got.Disk.Bytes > limit+limit/8 {
			t.Fatalf("got %+v", got)
		}
	}
	hosttest.Eventually(t, func() bool { return s.Stats().Unsaved == 0 }, "all is saved")
	s.disk.tidy(false)
	hosttest.Eventually(t, func() bool { return left(s) == 0 }, "what is removed is gone")
	if got := s.Stats(); got.Disk.Bytes > limit || got.Disk.Evictions == 0 || got.Disk.Entries == 0 {
		t.Errorf("got %+v", got)
	}
	if got, want := s.Stats().Disk.Bytes, onDiskOf(t, s.options.Disk); got != want {
		t.Errorf("counted %d bytes, the folder takes %d", got, want)
	}
}

// onDiskOf adds up a folder, in blocks.
func onDiskOf(t *testing.T, folder string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.Name() == "index" {
			sum += info.Size()
		} else {
			sum += onDisk(info.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// Each case changes one thing in a folder whose store is closed.
func TestDamageIsNeverServed(t *testing.T) {
	flip := func(path string, at int) error {
		b, err := os.ReadFile(path)
		if err == nil {
			b[(at+len(b))%len(b)] ^= 1
			err = os.WriteFile(path, b, 0o600)
		}
		return err
	}
	cut := func(path string, off int) error {
		info, err := os.Stat(path)
		if err == nil {
			err = os.Truncate(path, info.Size()-int64(off))
		}
		return err
	}
	for _, c := range []struct {
		name   string
		damage func(folder string) error
		want   int // entries that are whole afterwards, of 2
	}{
		{"nothing", func(string) error { return nil }, 2},
		{"small body", func(f string) error { return flip(filepath.Join(f, "bodies", "2"), 7) }, 1},
		{"large body", func(f string) error { return flip(filepath.Join(f, "bodies", "1"), 77_777) }, 1},
		{"short body", func(f string) error { return cut(filepath.Join(f, "bodies", "1"), 1) }, 1},
		{"no body", func(f string) error { return os.Remove(filepath.Join(f, "bodies", "2")) }, 1},
		{"orphan", func(f string) error { return os.WriteFile(filepath.Join(f, "bodies", "77"), []byte("x"), 0o600) }, 2},
		{"another's name", func(f string) error { return os.WriteFile(filepath.Join(f, "bodies", "x"), nil, 0o600) }, 2},
		{"a folder", func(f string) error { return os.MkdirAll(filepath.Join(f, "bodies", "y", "z"), 0o700) }, 2},
		{"last record", func(f string) error { return flip(filepath.Join(f, "index"), -1) }, 1},
		{"torn record", func(f string) error { return cut(filepath.Join(f, "index"), 1) }, 1},
		{"first record", func(f string) error { return flip(filepath.Join(f, "index"), 30) }, 0},
		{"another format", func(f string) error { return flip(filepath.Join(f, "index"), 0) }, 0},
		{"no index", func(f string) error { return os.Remove(filepath.Join(f, "index")) }, 0},
		{"half a new index", func(f string) error { return os.WriteFile(filepath.Join(f, "index.new"), []byte("ergo"), 0o600) }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openAgain(t, onFolder(t, 1<<20, 64<<20))
			contents := map[string]string{"large": strings.Repeat("large ", 50_000), "small": strings.Repeat("small ", 1000)}
			for _, key := range []string{"large", "small"} {
				put(t, s.Space("p"), key, head("v"), contents[key])
			}
			closeStore(t, s)
			if err := c.damage(s.options.Disk); err != nil {
				t.Fatal(err)
			}
			s = openAgain(t, s.options)
			defer closeStore(t, s)
			if got := whole(t, s.Space("p"), contents); got != c.want {
				t.Errorf("%d entries are whole, want %d", got, c.want)
			}
			s.disk.tidy(false)
			hosttest.Eventually(t, func() bool { return left(s) == 0 }, "what is removed is gone")
			if got := files(t, s); got != c.want || s.Stats().Disk.Entries != c.want {
				t.Errorf("%d files and %d entries are left, want %d", got, s.Stats().Disk.Entries, c.want)
			}
		})
	}
}

// whole returns how many entries there are, and checks that they are whole.
func whole(t *testing.T, sp *Space, contents map[string]string) (n int) {
	t.Helper()
	for key, want := range contents {
		set := sp.Lookup(key)
		for i := range set.Len() {
			r, err := set.At(i).Open(0, -1)
			if errors.Is(err, ErrDamaged) {
				continue
			} else if err != nil {
				t.Error(err)
				continue
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != want {
				t.Errorf("%s: the body is another one, or %v", key, err)
			}
			_ = r.Close()
			n++
		}
		set.Close()
	}
	return n
}

func TestFolderIsPrivate(t *testing.T) {
	o := onFolder(t, 1<<20, 64<<20)
	if err := os.Mkdir(o.Disk, 0o755); err != nil {
		t.Fatal(err)
	}
	s := openAgain(t, o)
	put(t, s.Space("p"), "k", head("v"), "x")
	if other, err := Open(o); err == nil {
		t.Error("two stores have one folder")
		_ = other.Close()
	}
	closeStore(t, s)
	if runtime.GOOS == "windows" {
		return
	}
	err := filepath.WalkDir(o.Disk, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A disk that refuses costs entries on it, and nobody an error.
func TestDiskRefuses(t *testing.T) {
	s := openAgain(t, onFolder(t, 1<<20, 64<<20))
	bodiesFolder := filepath.Join(s.options.Disk, "bodies")
	if err := os.Rename(bodiesFolder, bodiesFolder+".away"); err != nil {
		t.Fatal(err)
	}
	sp := s.Space("p")
	put(t, sp, "small", head("v"), "small")
	hosttest.Eventually(t, func() bool { return s.Stats().Unwritten == 1 }, "the entry is not written")
	if got, want := bodies(t, sp, "small"), []string{"small"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	w, err := sp.Create("large", head("v"), sp.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 200_000)); err == nil {
		t.Error("a large body was written")
	}
	if err := w.Commit(); err == nil {
		t.Error("it was stored")
	}
	if err := os.Rename(bodiesFolder+".away", bodiesFolder); err != nil {
		t.Fatal(err)
	}
	put(t, sp, "later", head("v"), strings.Repeat("x", 200_000))
	if got := s.Stats(); got.DiskErrors == 0 || got.Dropped != 1 || got.InFlight != 0 || got.Disk.Entries != 1 {
		t.Errorf("got %+v", got)
	}
	s = reopen(t, s)
	defer closeStore(t, s)
	if got := s.Stats(); got.Disk.Entries != 1 {
		t.Errorf("got %+v", got)
	}
}

// An index that could not be written is written anew.
func TestIndexRecovers(t *testing.T) {
	s := openAgain(t, onFolder(t, 4<<20, 64<<20))
	put(t, s.Space("p"), "before", head("v"), "x")
	hosttest.Eventually(t, func() bool { return s.Stats().Disk.Entries == 1 }, "it is saved")
	s.disk.index.mu.Lock()
	_ = s.disk.index.file.Close()
	s.disk.index.mu.Unlock()
	put(t, s.Space("p"), "after", head("v"), "x")
	hosttest.Eventually(t, func() bool { return s.Stats().DiskErrors > 0 }, "the index refuses")
	s = reopen(t, s)
	defer closeStore(t, s)
	if got := s.Stats(); got.Disk.Entries != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestHammerDisk(t *testing.T) {
	s := openAgain(t, onFolder(t, 256<<10, 4<<20))
	hammer(t, s)
	hosttest.Eventually(t, func() bool { return s.Stats().Unsaved == 0 && left(s) == 0 }, "all is saved or removed")
	got, n := s.Stats(), files(t, s)
	s.mu.Lock()
	held, bytes, leaving := s.held, s.disk.bytes, s.disk.left
	s.mu.Unlock()
	if got.InFlight != 0 || got.Damaged != 0 || leaving != 0 || bytes != 0 || held != 0 || n != 0 {
		t.Errorf("got %+v, held %d, %d on disk, %d leaving, %d files", got, held, bytes, leaving, n)
	}
	closeStore(t, s)
}

func TestStartIsFast(t *testing.T) {
	s := openAgain(t, onFolder(t, 64<<20, 256<<20))
	sp := s.Space("p")
	body := strings.Repeat("x", 1000)
	for i := range 10_000 {
		put(t, sp, fmt.Sprintf("https://example.com/%d", i), head("v", "tag"), body)
		if i%1000 == 999 {
			hosttest.Eventually(t, func() bool { return s.Stats().Unsaved == 0 }, "all is saved")
		}
	}
	closeStore(t, s)
	begun := time.Now()
	s = openAgain(t, s.options)
	took := time.Since(begun)
	defer closeStore(t, s)
	t.Logf("a start with %d entries takes %v", s.Stats().Disk.Entries, took)
	if got := s.Stats().Disk.Entries; got != 10_000 {
		t.Errorf("got %d entries", got)
	}
	if took > time.Second && !race.Enabled {
		t.Errorf("it took %v", took)
	}
}

// TestLargeBodiesOpenAtOnce looks for entries at the moment that they are stored.
func TestLargeBodiesOpenAtOnce(t *testing.T) {
	s := openAgain(t, onFolder(t, 1<<20, 64<<20))
	defer closeStore(t, s)
	sp := s.Space("p")
	stored := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stored:
					return
				default:
				}
				set := sp.Lookup("k")
				if set.Len() > 0 {
					if r, err := set.At(0).Open(0, -1); err != nil {
						t.Error(err)
					} else {
						_ = r.Close()
					}
				}
				set.Close()
			}
		})
	}
	for range 200 {
		put(t, sp, "k", head(""), strings.Repeat("x", 64<<10))
		if _, err := sp.Purge(Selector{Kind: Exact, Text: "k"}, false); err != nil {
			t.Error(err)
		}
	}
	close(stored)
	readers.Wait()
}

// Somebody else may have written the record of a purge that has to be durable.
func TestWrittenRecordsAreMadeDurable(t *testing.T) {
	s := openAgain(t, onFolder(t, 1<<20, 4<<20))
	r, w, err := os.Pipe() // takes what is written, and can't be made durable
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d := s.disk
	d.index.mu.Lock()
	index := d.index.file
	d.index.file = w
	d.index.mu.Unlock()
	s.mu.Lock()
	d.index.waiting = appendDelete(d.index.waiting, 1)
	s.mu.Unlock()
	if err := d.flush(false); err != nil {
		t.Fatal(err)
	}
	if err := d.flush(true); err == nil {
		t.Error("records that were written before are not made durable")
	}
	d.index.mu.Lock()
	d.index.file = index
	d.index.mu.Unlock()
	_ = w.Close()
	closeStore(t, s)
}
