package capability

import (
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/hosttest/race"
)

func TestCacheReadsAHeadAtOnce(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	r := &c.x.Request
	for _, tc := range []struct {
		authority, target string
		repeated          bool
		fields            []string
		want              string
		count             uint64
	}{
		{"h:1", "/a?b", false, []string{"X-A", "1", "x-a", "2"}, "\x00GET\x00https\x00/a?b\x00host\x00h:1\x00x-a\x001\x00x-a\x002\x00", 3},
		{"", "", true, nil, "1\x00GET\x00https\x00/\x00", 0},
	} {
		r.Authority, r.Target, c.x.Repeated = tc.authority, tc.target, tc.repeated
		r.Header.Reset()
		for i := 0; i < len(tc.fields); i += 2 {
			r.Header.Add(tc.fields[i], tc.fields[i+1])
		}
		n, err := c.call("get_request", 8192, 1024)
		if got := c.memory(8192, uint32(n)); err != nil || got != tc.want || n>>32 != tc.count {
			t.Errorf("got %d fields, %q, %v, want %d, %q", n>>32, got, err, tc.count, tc.want)
		}
		if short, err := c.call("get_request", 8192, 3); short != n || err != nil {
			t.Errorf("without room: got %d, %v, want %d", short, err, n)
		}
	}
	c.want(0, "get_response", 8192, 1024) // there is none yet
	c.respond(200, "body", "X-A", "1", "etag", "e")
	c.want(2<<32|13, "get_response", 8192, 1024)
	if got, want := c.memory(8192, 13), "x-a\x001\x00etag\x00e\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCacheAmends(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	c.put("key", "body", "A", "1", "B", "2")
	c.want(tooLate, "amend", "=a\x003\x00")
	c.want(1, "lookup", "key")
	c.want(ok, "serve", 0, 200, int64(0), int64(-1))
	for _, list := range []string{
		"a", "=", "=a", "=a\x00", "=a\x003", "a\x003\x00", "*a\x003\x00", "=\x003\x00", "=a b\x003\x00", "=a\x003\n\x00",
		"=a\x009\x00?b\x00\x00", "=a\x00" + strings.Repeat("x", maxChange) + "\x00",
	} {
		c.want(badArgument, "amend", list)
	}
	c.want(ok, "amend", "")
	c.want(ok, "amend", "=a\x00 3\t\x00+A\x004\x00-b\x00\x00=content-length\x009\x00")
	var got []string
	for _, f := range c.stay.response.Header.Fields() {
		got = append(got, f.Name+"="+f.Value)
	}
	if got, want := strings.Join(got, " "), "A=3 A=4"; !strings.EqualFold(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	for range maxChanges / maxChange {
		if _, err := c.call("amend", "=a\x00"+strings.Repeat("x", maxChange-4)+"\x00"); err != nil {
			t.Fatal(err)
		}
	}
	c.want(badArgument, "amend", "=a\x005\x00")
	c.next()
	c.respond(200, "body", "A", "1")
	c.want(ok, "amend", "+a\x002\x00")
	if got := c.x.Response.Header.Len(); got != 2 {
		t.Errorf("the response at hand has %d fields, want 2", got)
	}
}

// A hit allocates the reader of its body alone.
func TestCacheHitAllocates(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	c.put("key", "body", "A", "1")
	c.instance.Memory().WriteString(1024, "key")
	c.instance.Memory().WriteString(2048, "=a\x002\x00")
	steps := []struct {
		name  string
		stack []uint64 // with room for a result
		want  uint64
	}{
		{"get_request", []uint64{8192, 1024}, 13},
		{"lookup", []uint64{1024, 3}, 1},
		{"get_entry", []uint64{0, 8192, 1024}, 25},
		{"serve", []uint64{0, 200, 0, ^uint64(0)}, ok},
		{"amend", []uint64{2048, 5}, ok},
	}
	functions := make([]api.Function, len(steps))
	for i, step := range steps {
		functions[i] = c.instance.Function(step.name)
	}
	var stack [4]uint64
	hit := func() {
		for i, step := range steps {
			copy(stack[:], step.stack)
			if err := c.instance.Invoke(functions[i], stack[:len(step.stack)]); err != nil || uint32(stack[0]) != uint32(step.want) {
				t.Fatalf("%s: got %d, %v, want %d", step.name, stack[0], err, step.want)
			}
		}
		_ = c.stay.response.Body.Close()
		c.next()
		c.x.Arena.Reset()
	}
	if got := testing.AllocsPerRun(200, hit); got > 1 && !race.Enabled {
		t.Errorf("got %v allocations, want 1", got)
	}
}
