package capability

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

func newIdentify(t testing.TB) *relay {
	return newRelay(t, Identify(), &policy.Granted{Policy: "api-key"})
}

func TestIdentify(t *testing.T) {
	r := newIdentify(t)
	r.want(notFound, "set_attribute", "group", "dev")
	r.want(ok, "identify", "alice")
	r.want(ok, "set_attribute", "group", "dev")
	r.want(ok, "set_attribute", "note", "")
	r.want(ok, "set_attribute", "group", "admin")
	want := "{alice api-key [{group admin} {note }]}"
	if got := fmt.Sprint(r.x.Identity); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.instance.Memory().Write(1024, make([]byte, 100)) // the text is the exchange's own
	if got := fmt.Sprint(r.x.Identity); got != want {
		t.Errorf("after the guest went on: got %s, want %s", got, want)
	}
	r.want(badArgument, "identify", "")
	r.want(badArgument, "identify", strings.Repeat("s", exchange.MaxSubjectBytes+1))
	r.want(badArgument, "set_attribute", "a\x00b", "v")
	r.want(badArgument, "set_attribute", "a", "\xff")
	for i := range exchange.MaxAttributes - 2 {
		r.want(ok, "set_attribute", fmt.Sprint(i), "v")
	}
	r.want(noRoom, "set_attribute", "more", "v")
	if r.x.Identity.Subject != "alice" {
		t.Errorf("refusals left %+v", r.x.Identity)
	}
	r.want(ok, "forget")
	if i := r.x.Identity; i.Subject != "" || i.Method != "" || len(i.Attributes) != 0 {
		t.Errorf("got %+v, want nobody", i)
	}
}

// Who the client is was seen by whatever the request has gone to.
func TestIdentifyTooLate(t *testing.T) {
	r := newIdentify(t)
	r.want(ok, "identify", "alice")
	r.x.Route.Sent = true
	r.want(tooLate, "identify", "bob")
	r.want(tooLate, "set_attribute", "group", "admin")
	r.want(tooLate, "forget")
	if got, want := fmt.Sprint(r.x.Identity), "{alice api-key []}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func newIdentity(t testing.TB) *relay {
	return newRelay(t, Identity(), new(policy.Granted))
}

func TestIdentity(t *testing.T) {
	r := newIdentity(t)
	r.want(0, "subject", 512, 100)
	r.want(0, "method", 512, 100)
	r.want(none, "attribute", "group", 512, 100)
	r.want(0, "attribute_names", 512, 100)
	if err := r.x.Identify("alice", "api-key"); err != nil {
		t.Fatal(err)
	}
	for _, a := range []exchange.Attribute{{Name: "group", Value: "admin"}, {Name: "note"}} {
		if err := r.x.AddAttribute(a.Name, a.Value); err != nil {
			t.Fatal(err)
		}
	}
	r.want(5, "subject", 512, 4)
	if got := r.memory(512, 5); got != "\x00\x00\x00\x00\x00" {
		t.Errorf("a subject that does not fit was written: %q", got)
	}
	for _, c := range []struct {
		length uint64
		want   string
		name   string
		args   []any
	}{
		{5, "alice", "subject", []any{512, 5}},
		{7, "api-key", "method", []any{512, 100}},
		{5, "admin", "attribute", []any{"group", 512, 100}},
		{0, "", "attribute", []any{"note", 512, 100}},
		{2<<32 | 11, "group\x00note\x00", "attribute_names", []any{512, 100}},
	} {
		r.want(c.length, c.name, c.args...)
		if got := r.memory(512, uint32(c.length)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	r.want(none, "attribute", "", 512, 100)
}

func FuzzIdentity(f *testing.F) {
	f.Add(uint8(0), uint64(512), uint64(100), uint64(0), uint64(0), []byte{})
	f.Add(uint8(2), uint64(1024), uint64(5), uint64(1022), uint64(100), []byte("group"))
	f.Add(uint8(2), uint64(1024), uint64(5), uint64(outside-1), uint64(100), []byte("group"))
	f.Add(uint8(3), uint64(65535), uint64(100), uint64(0), uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d uint64, memory []byte) {
		r := newIdentity(t)
		_, _ = r.x.Identify("alice", "api-key"), r.x.AddAttribute("group", "admin")
		r.fuzz(which, [4]uint64{a, b, c, d}, memory)
	})
}

func FuzzIdentify(f *testing.F) {
	f.Add(uint8(0), uint64(1024), uint64(5), uint64(0), uint64(0), []byte("alice"))
	f.Add(uint8(0), uint64(outside), uint64(5), uint64(0), uint64(0), []byte{})
	f.Add(uint8(1), uint64(1024), uint64(5), uint64(1026), uint64(5), []byte("overlaps"))
	f.Add(uint8(1), uint64(1024), uint64(5), uint64(1029), uint64(3), []byte("group\xff\x00\n"))
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d uint64, memory []byte) {
		r := newIdentify(t)
		r.want(ok, "identify", "alice")
		r.fuzz(which, [4]uint64{a, b, c, d}, memory)
		i := &r.x.Identity
		if (i.Subject == "") != (i.Method == "") || len(i.Subject) > exchange.MaxSubjectBytes || strings.ContainsAny(i.Subject, "\x00\r\n") {
			t.Errorf("an unsound identity: %+v", i)
		}
		for _, a := range i.Attributes {
			if a.Name == "" || strings.ContainsAny(a.Name+a.Value, "\x00\r\n") {
				t.Errorf("an unsound attribute: %q", a)
			}
		}
	})
}
