package capability

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/policy"
)

// slicesOf writes a list of slices: entry, offset and length by turns.
func slicesOf(numbers ...int64) string {
	var list []byte
	for i := 0; i < len(numbers); i += 3 {
		list = binary.LittleEndian.AppendUint32(list, uint32(numbers[i]))
		list = binary.LittleEndian.AppendUint64(list, uint64(numbers[i+1]))
		list = binary.LittleEndian.AppendUint64(list, uint64(numbers[i+2]))
	}
	return string(list)
}

// A response is made of the bodies of several entries, with the fields of one.
func TestCacheComposes(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	for _, body := range []string{"0123", "4567", ""} {
		c.respond(206, body, "X", body)
		c.want(0, "store", "key", "v"+body, "", "", "")
		if c.x.Response.Body != nil {
			_, _ = io.Copy(io.Discard, c.x.Response.Body)
		}
		c.next()
	}
	c.want(3, "lookup", "key") // "", "4567", "0123"
	for _, tc := range []struct {
		method, slices string
		status         int
		want           string
		wantLength     int64
	}{
		{"GET", slicesOf(2, 0, 4, 1, 0, 4), 200, "01234567", 8},
		{"GET", slicesOf(2, 3, 1, 0, 0, 0, 1, 0, 2, 2, 0, 1), 206, "3450", 4},
		{"GET", slicesOf(1, 1, 2), 206, "56", 2},
		{"GET", slicesOf(), 206, "", 0},
		{"GET", slicesOf(0, 0, 0, 1, 4, 0), 206, "", 0},
		{"HEAD", slicesOf(2, 0, 4, 1, 0, 4), 200, "", 8},
		{"GET", slicesOf(2, 0, 4, 1, 0, 4), 304, "", 0},
		{"GET", strings.Repeat(slicesOf(1, 0, 1), maxSlices), 206, strings.Repeat("4", maxSlices), maxSlices},
	} {
		c.x.Request.Method = tc.method
		c.want(0, "compose", 2, tc.status, tc.slices)
		r, got := c.stay.response, ""
		if r.Body != nil {
			read, err := io.ReadAll(r.Body)
			if err != nil || r.Body.Close() != nil {
				t.Fatal(err)
			}
			got = string(read)
		}
		if got != tc.want || r.Status != tc.status || r.Length != tc.wantLength || r.Header.Value("x") != "0123" {
			t.Errorf("%s %q: got %d %q, length %d, %v", tc.method, tc.slices, r.Status, got, r.Length, r.Header.Fields())
		}
	}
	c.x.Request.Method = "GET"
	c.want(1, "compose", 3, 206, slicesOf())
	c.want(1, "compose", 0, 206, slicesOf(3, 0, 0))
	for _, bad := range []string{
		slicesOf(1, 5, 0), slicesOf(1, 0, 5), slicesOf(1, 4, 1), slicesOf(1, -1, 1), slicesOf(1, 1, -1),
		slicesOf(1, 1<<62, 1<<62), "x", slicesOf(1, 0, 1)[1:], strings.Repeat(slicesOf(1, 0, 1), maxSlices+1),
	} {
		c.want(2, "compose", 0, 206, bad)
	}
	c.want(2, "compose", 0, 199, slicesOf(1, 0, 1))
	c.want(2, "compose", 0, 600, slicesOf(1, 0, 1))
}

// Slices of files and of memory make one body.
func TestCacheComposesFromDisk(t *testing.T) {
	store, err := cache.Open(cache.Options{MemoryBytes: 1 << 20, Disk: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	c := newCacher(t, &policy.Cache{Space: store.Space("p")})
	large := strings.Repeat("0123456789", 20<<10)
	for _, body := range []string{large, "small"} {
		c.respond(206, body)
		c.want(0, "store", "key", body[:2], "", "", "")
		_, _ = io.Copy(io.Discard, c.x.Response.Body)
		c.next()
	}
	c.want(2, "lookup", "key")
	c.want(0, "compose", 1, 206, slicesOf(1, 5, 100_000, 0, 1, 3, 1, 0, 7))
	r := c.stay.response
	got, err := io.ReadAll(r.Body)
	if want := large[5:100_005] + "mal" + large[:7]; err != nil || string(got) != want || r.Length != int64(len(want)) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
	if err := r.Body.Close(); err != nil {
		t.Error(err)
	}
	c.next()
}

// What is not read is closed, too, and what is read is closed as soon as it has ended.
func TestSequencesClose(t *testing.T) {
	var closed int
	s := &sequence{}
	for _, text := range []string{"ab", "", "cd"} {
		s.bodies = append(s.bodies, closing{strings.NewReader(text), &closed})
	}
	got, err := io.ReadAll(io.LimitReader(s, 3))
	if string(got) != "abc" || err != nil || closed != 2 {
		t.Errorf("got %q, %v, %d closed", got, err, closed)
	}
	if err := s.Close(); err != nil || closed != 3 {
		t.Errorf("got %v, %d closed", err, closed)
	}
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v", n, err)
	}
}

type closing struct {
	io.Reader
	closed *int
}

func (c closing) Close() error {
	*c.closed++
	return nil
}
