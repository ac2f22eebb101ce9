//go:build !wasip1

package guest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	host := NewFake("GET", "/")
	host.Run(func() {
		hits, err := DefineCounter("hits")
		depth, depthErr := DefineGauge("depth")
		size, sizeErr := DefineHistogram("size")
		if err := errors.Join(err, depthErr, sizeErr); err != nil {
			t.Fatal(err)
		}
		hits.Add(2)
		hits.Add(0)
		again, _ := DefineCounter("hits")
		again.Add(1)
		depth.Set(5)
		depth.Add(-7)
		size.Observe(10)
		size.Observe(-1)
		if hits.Value() != 3 || depth.Value() != -2 {
			t.Errorf("got %d and %d, want 3 and -2", hits.Value(), depth.Value())
		}
		if _, err := DefineGauge("hits"); !errors.Is(err, ErrOtherKind) {
			t.Errorf("got %v, want %v", err, ErrOtherKind)
		}
		if _, err := DefineGauge(""); !errors.Is(err, ErrBadArgument) {
			t.Errorf("got %v, want %v", err, ErrBadArgument)
		}
		for i := range 253 {
			_, err = DefineCounter(fmt.Sprint(i))
		}
		if _, full := DefineCounter("more"); err != nil || !errors.Is(full, ErrNoRoom) {
			t.Errorf("got %v and %v, want %v", err, full, ErrNoRoom)
		}
	})
	if got := host.Metric("size").Observed; !slices.Equal(got, []int64{10}) {
		t.Errorf("observed: got %d", got)
	}
	if got := host.Metric("hits").Value; got != 3 {
		t.Errorf("hits: got %d, want 3", got)
	}
}

func TestSecret(t *testing.T) {
	host := NewFake("GET", "/")
	long := strings.Repeat("k", 5000)
	host.Secrets = map[string]string{"short": "correct horse", "long": long}
	host.Run(func() {
		for name, want := range host.Secrets {
			if got, found := Secret(name); got != want || !found {
				t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), found, len(want))
			}
		}
		if _, found := Secret("other"); found {
			t.Error("found a secret that is not there")
		}
	})
}

func TestClock(t *testing.T) {
	host := NewFake("GET", "/")
	host.Clock.Wall, host.Clock.Monotonic, host.Clock.Began = 1_700_000_000_000_000_000, 300, 100
	host.Run(func() {
		if Now() != 1_700_000_000_000_000_000 || Monotonic()-Began() != 200 {
			t.Errorf("got %d, %d, %d", Now(), Monotonic(), Began())
		}
		if _, bounded := Remaining(); bounded {
			t.Error("there is a deadline")
		}
		host.Clock.Remaining = 50
		if left, bounded := Remaining(); left != 50 || !bounded {
			t.Errorf("got %d, %v, want 50", left, bounded)
		}
	})
}

func TestSecure(t *testing.T) {
	for _, secure := range []bool{true, false} {
		host := NewFake("GET", "/")
		host.Secure = secure
		host.Run(func() {
			if Secure() != secure {
				t.Errorf("got %v, want %v", !secure, secure)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	host := NewFake("GET", "/")
	host.Run(func() {
		if err := SetAttribute("group", "dev"); !errors.Is(err, ErrNobody) || Subject() != "" {
			t.Errorf("got %v of %q, want %v", err, Subject(), ErrNobody)
		}
		err := errors.Join(Identify("alice"), SetAttribute("group", "dev"), SetAttribute("mail", "a@example.com"), SetAttribute("group", "admin"))
		if err != nil {
			t.Fatal(err)
		}
		if Subject() != "alice" || IdentifiedBy() != "fake" || !slices.Equal(AttributeNames(), []string{"group", "mail"}) {
			t.Errorf("got %q by %q with %q", Subject(), IdentifiedBy(), AttributeNames())
		}
		if group, found := Attribute("group"); group != "admin" || !found {
			t.Errorf("got %q, %v, want admin", group, found)
		}
		if _, found := Attribute("other"); found {
			t.Error("found an attribute that is not there")
		}
		if err := Identify("a\nb"); !errors.Is(err, ErrBadArgument) || Subject() != "alice" {
			t.Errorf("got %v, %q, want %v", err, Subject(), ErrBadArgument)
		}
		if err := Forget(); err != nil || Subject() != "" {
			t.Errorf("got %v, %q after forgetting", err, Subject())
		}
	})
}

func TestEveryIdentityStatusHasItsMeaning(t *testing.T) {
	for status, want := range map[uint32]error{0: nil, 1: ErrNobody, 2: ErrBadArgument, 3: ErrTooLate, 11: ErrNoRoom} {
		if got := identityError(status); !errors.Is(got, want) {
			t.Errorf("%d: got %v, want %v", status, got, want)
		}
	}
}
