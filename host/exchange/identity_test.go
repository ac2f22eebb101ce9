package exchange

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestIdentity(t *testing.T) {
	x := new(Exchange)
	if err := x.AddAttribute("group", "admin"); !errors.Is(err, ErrNobody) {
		t.Errorf("got %v of nobody, want %v", err, ErrNobody)
	}
	for _, add := range []Attribute{{"group", "dev"}, {"mail", "a@example.com"}, {"group", "admin"}, {"note", ""}} {
		if x.Identity.Subject == "" {
			if err := x.Identify("alice", "api-key"); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.AddAttribute(add.Name, add.Value); err != nil {
			t.Fatal(err)
		}
	}
	want := []Attribute{{"group", "admin"}, {"mail", "a@example.com"}, {"note", ""}}
	if i := x.Identity; i.Subject != "alice" || i.Method != "api-key" || !slices.Equal(i.Attributes, want) {
		t.Errorf("got %+v, want alice with %v", i, want)
	}
	if value, ok := x.Identity.Attribute("note"); value != "" || !ok {
		t.Errorf("got %q, %v of an empty attribute", value, ok)
	}
	if _, ok := x.Identity.Attribute("gone"); ok {
		t.Error("found an attribute that is not there")
	}
	if err := x.Identify("bob", "jwt"); err != nil {
		t.Fatal(err)
	}
	if i := x.Identity; i.Subject != "bob" || i.Method != "jwt" || len(i.Attributes) != 0 {
		t.Errorf("got %+v, want bob with nothing of alice", i)
	}
}

func TestIdentityIsBounded(t *testing.T) {
	for _, subject := range []string{"", "a\x00b", "a\nb", "a\x7f", "\xff", strings.Repeat("s", MaxSubjectBytes+1)} {
		x := new(Exchange)
		if err := x.Identify(subject, "p"); !errors.Is(err, ErrIdentityText) || x.Identity.Subject != "" {
			t.Errorf("%.20q: got %v, want %v", subject, err, ErrIdentityText)
		}
	}
	x := new(Exchange)
	if err := x.Identify(strings.Repeat("s", MaxSubjectBytes), "p"); err != nil {
		t.Fatal(err)
	}
	for _, a := range []Attribute{
		{"", "v"}, {"a\tb", "v"}, {strings.Repeat("n", MaxAttributeNameBytes+1), "v"},
		{"n", "a\x00b"}, {"n", "\xff"}, {"n", strings.Repeat("v", MaxAttributeValueBytes+1)},
	} {
		if err := x.AddAttribute(a.Name, a.Value); !errors.Is(err, ErrIdentityText) {
			t.Errorf("%.20q: got %v, want %v", a, err, ErrIdentityText)
		}
	}
	for i := range MaxAttributes {
		if err := x.AddAttribute(fmt.Sprint(i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.AddAttribute("more", "v"); !errors.Is(err, ErrIdentityRoom) {
		t.Errorf("got %v of one too many, want %v", err, ErrIdentityRoom)
	}
	large := strings.Repeat("v", MaxAttributeValueBytes)
	var err error
	for i := range MaxIdentityBytes / MaxAttributeValueBytes {
		err = x.AddAttribute(fmt.Sprint(i), large)
	}
	if !errors.Is(err, ErrIdentityRoom) {
		t.Errorf("got %v of too large ones, want %v", err, ErrIdentityRoom)
	}
	if value, _ := x.Identity.Attribute("0"); value != large {
		t.Errorf("what was there has %d bytes, want %d", len(value), len(large))
	}
}

// What is known of a client costs no allocation once an exchange has memory.
func TestIdentityDoesNotAllocate(t *testing.T) {
	x := new(Exchange)
	var saved Identity
	got := testing.AllocsPerRun(100, func() {
		_ = x.Identify("alice", "api-key")
		_ = x.AddAttribute("group", "admin")
		saved.CopyFrom(&x.Identity)
		x.Identity.CopyFrom(&saved)
		x.Reset()
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
