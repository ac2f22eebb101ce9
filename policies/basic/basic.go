package main

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	guest "github.com/ergoproxy/ergo/sdk/go"
	"github.com/ergoproxy/ergo/sdk/go/config"
)

// basic is the policy as configured.
type basic struct {
	users     users
	header    string // the field that carries the user's name; "" for none
	forward   bool   // the credentials go on to the upstream
	challenge string
	known     *cache
}

const (
	defaultRealm = "restricted"
	dayMS        = 86_400_000
)

// reserved are the fields that mean something to others than the application.
var reserved = []string{"authorization", "cookie", "host", "content-length", "transfer-encoding"}

func newBasic(text []byte) (*basic, error) {
	c, err := config.Parse(text)
	if err != nil {
		return nil, err
	}
	realm := c.Text("realm", defaultRealm)
	if strings.ContainsAny(realm, `"\`) || strings.ContainsFunc(realm, unicode.IsControl) {
		c.Refuse("realm", "expected text without quotes, backslashes and control characters")
	}
	b := &basic{
		users:     readUsers(c),
		header:    c.Text("user_header", ""),
		forward:   c.Bool("forward_credentials", false),
		challenge: `Basic realm="` + realm + `", charset="UTF-8"`,
		known:     newCache(c.Int("cache", 1000, 0, 100_000), c.Milliseconds("cache_ttl", 300_000, 1000, dayMS)),
	}
	if slices.ContainsFunc(reserved, func(name string) bool { return strings.EqualFold(name, b.header) }) {
		c.Refuse("user_header", "expected a header field of its own")
	}
	return b, c.Err()
}

// denial is why a request does not pass.
type denial struct {
	status int
	text   string
	detail string // for the log alone
}

func refused(detail string) *denial {
	return &denial{401, "a name and a password are required", detail}
}

func (b *basic) request(r guest.Request) guest.Flow {
	if b.header != "" {
		r.Header().RemoveAlike(b.header)
	}
	name, d := b.admit(r.Header().Values("authorization"))
	if d == nil {
		if err := guest.Identify(name); err != nil {
			d = &denial{503, "names cannot be told now", "identify: " + err.Error()}
		}
	}
	if d != nil {
		return b.deny(r, d)
	}
	if b.header != "" {
		r.Header().Set(b.header, name)
	}
	if !b.forward {
		r.Header().Remove("authorization")
	}
	return guest.Continue
}

// deny answers without saying whether it was the name or the password.
func (b *basic) deny(r guest.Request, d *denial) guest.Flow {
	if guest.LogEnabled(guest.Debug) {
		guest.Log(guest.Debug, "refused: "+d.detail)
	}
	reply := r.Answer(d.status).Header("cache-control", "no-store")
	if d.status == 401 {
		reply.Header("www-authenticate", b.challenge)
	} else {
		reply.Header("retry-after", "1")
	}
	return reply.Text(d.text + "\n")
}

// admit returns the name of the user whose credentials these are. Two fields are
// none: who looks at the other one would see what was never checked.
func (b *basic) admit(values []string) (name string, d *denial) {
	if len(values) != 1 {
		return "", refused("not one Authorization field")
	}
	given, ok := parse(values[0])
	if !ok {
		return "", refused("no credentials, or malformed ones")
	}
	now := uint64(guest.Now()) / 1_000_000
	place, digest := b.known.find(given)
	if place != nil && place.is(digest, now) {
		return given.name, nil
	}
	// A stranger's password is compared with somebody's hash, and whatever comes of it
	// is no: so it takes as long as for a name that is known.
	hash, known := b.users.hash(given.name)
	switch err := guest.PasswordVerify(hash, []byte(given.password)); {
	case err == nil && known:
		if place != nil {
			place.put(digest, now+b.known.ttlMS)
		}
		return given.name, nil
	case errors.Is(err, guest.ErrBusy), errors.Is(err, guest.ErrTimeout):
		return "", &denial{503, "passwords cannot be checked now", err.Error()}
	case err != nil && known && !errors.Is(err, guest.ErrMismatch):
		guest.Log(guest.Warn, "the hash of a user cannot be compared with: "+err.Error())
	}
	return "", refused("the name or the password is wrong")
}
