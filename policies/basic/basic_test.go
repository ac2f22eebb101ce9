//go:build !wasip1

package main

import (
	"encoding/base64"
	"strings"
	"testing"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

const (
	bcryptForm = "$2y$10$4qQvbBfP0AXaIDYMsMWFoObZfzKj.CWOkcT/YZ4l./SiNblcjLsaW"
	argonForm  = "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$TCSZDeJ1xp+yuU03X4zOoZ5CDdGVdbmHSX48Xr1Jlio"
)

// made is the policy with users whose hashes the fake host knows.
func made(t *testing.T, text string) *basic {
	t.Helper()
	b, err := newBasic([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name := range b.users.hashes {
		b.users.hashes[name] = "fake:" + name + "'s"
	}
	b.users.all = []string{"fake:stranger's"}
	return b
}

const three = `{"users":["alice:` + bcryptForm + `"],"htpasswd":"# two more\nbob:` + argonForm + `\n\ncarol:` + bcryptForm + `\n","user_header":"x-user"}`

func shown(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func ask(b *basic, fields ...string) *guest.Fake {
	host := guest.NewFake("GET", "/", guest.Field{Name: "X_User", Value: "root"}, guest.Field{Name: "x-user", Value: "root"})
	for _, value := range fields {
		host.RequestHeader = append(host.RequestHeader, guest.Field{Name: "Authorization", Value: value})
	}
	host.Run(func() { b.request(guest.Request{}) })
	return host
}

func TestUsersPass(t *testing.T) {
	b := made(t, three)
	for range 2 {
		for _, name := range []string{"alice", "bob", "carol"} {
			host := ask(b, shown(name+":"+name+"'s"))
			if host.Status != 200 || host.Identity.Subject != name {
				t.Errorf("%s: got status %d and subject %q", name, host.Status, host.Identity.Subject)
			}
			if len(host.RequestHeader) != 1 || host.RequestHeader[0].Value != name {
				t.Errorf("%s: got fields %v, want the name alone", name, host.RequestHeader)
			}
		}
	}
}

func TestOthersDoNot(t *testing.T) {
	b := made(t, three)
	ask(b, shown("alice:alice's")) // is remembered
	for _, fields := range [][]string{
		{}, {""}, {"Basic"}, {"Basic "}, {"Basic *"}, {shown("alice")}, {shown("alice:")}, {shown(":alice's")}, {shown("alice:bob's")},
		{shown("dave:alice's")}, {shown("dave:stranger's")}, {shown("Alice:alice's")}, {shown("alice:alice's ")}, {shown("alice:alice's\n")},
		{shown("alice:alice's"), shown("alice:alice's")}, {"Bearer x", shown("alice:alice's")}, {shown("alice:alice's") + "="},
		{strings.TrimRight(shown("alice:alice's"), "=")}, {shown("alice:alice's") + "\n"}, {shown("a:\xff")}, {shown("a:" + strings.Repeat("x", 2000))},
	} {
		host := ask(b, fields...)
		if host.Status != 401 || host.Identity.Subject != "" {
			t.Errorf("%q: got status %d and subject %q, want 401", fields, host.Status, host.Identity.Subject)
		}
		if got := guest.Values(host.RequestHeader, "x-user"); len(got) > 0 {
			t.Errorf("%q: the client's own name goes on: %q", fields, got)
		}
	}
}

// What is remembered ends, and belongs to one name and password.
func TestCacheEnds(t *testing.T) {
	c := newCache(1, 1000)
	host := guest.NewFake("GET", "/")
	host.Random = func(b []byte) { b[0] = 1 }
	host.Run(func() {
		place, digest := c.find(credentials{"a", "b"})
		if place.is(digest, 0) {
			t.Error("an empty place knows something")
		}
		place.put(digest, 1000)
		if !place.is(digest, 999) || place.is(digest, 1000) {
			t.Error("what is remembered does not end when it should")
		}
		_, other := c.find(credentials{"a", "c"})
		_, unsalted := (&cache{places: c.places, salt: make([]byte, 32)}).find(credentials{"a", "b"})
		if digest == other || digest == unsalted {
			t.Error("digests do not tell apart what they should")
		}
	})
	if place, _ := newCache(0, 1000).find(credentials{}); place != nil {
		t.Error("a cache without places has one")
	}
}

func TestConfigurationsThatCannotBeMeant(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                               "config.users: expected 1 to 100000 users",
		`{"users":["` + bcryptForm + `"]}`: "config.users[0]: expected a hash",
		`{"users":["alice:` + argonForm + strings.Repeat("A", 257-len(argonForm)) + `"]}`: "config.users[0]: expected a hash",
		`{"users":["alice"]}`:                                      "config.users[0]: expected a hash",
		`{"users":["alice:secret"]}`:                               "config.users[0]: expected a hash",
		`{"users":["alice:` + bcryptForm[:59] + `"]}`:              "config.users[0]: expected a hash",
		`{"users":["al\tice:` + bcryptForm + `"]}`:                 "config.users[0]: expected name:hash",
		`{"htpasswd":"a:` + argonForm + `\na:` + argonForm + `"}`:  "config.htpasswd: line 2: a is there twice",
		`{"users":["a:` + argonForm + `"],"realm":"a\"b"}`:         "config.realm: expected text",
		`{"users":["a:` + argonForm + `"],"user_header":"COOKIE"}`: "config.user_header: expected a header field",
		`{"users":["a:` + argonForm + `"],"cache_ttl":"1ms"}`:      "config.cache_ttl: expected a duration",
		`{"users":["a:` + argonForm + `"],"forward":true}`:         "config.forward: is not a known key",
	} {
		if _, err := newBasic([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "Basic", shown("a:b"), "bAsIc  " + shown("a:b")[6:], shown(":"), shown("a:\x00")} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, value string) {
		given, ok := parse(value)
		if ok && (!strings.HasSuffix(strings.TrimLeft(value[5:], " "), shown(given.name + ":" + given.password)[6:]) || strings.Contains(given.name, ":")) {
			t.Errorf("%q is taken for %q", value, given)
		}
	})
}
