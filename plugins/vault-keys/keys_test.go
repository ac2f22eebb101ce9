package main

import (
	"fmt"
	"testing"
	"time"
)

func TestPrimaryFirst(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ages []time.Duration // of the versions, the newest first
		want string
	}{
		{[]time.Duration{time.Hour}, "[1]"},
		{[]time.Duration{time.Second}, "[1]"},
		{[]time.Duration{time.Hour, 2 * time.Hour}, "[2 1]"},
		{[]time.Duration{10 * time.Minute, 2 * time.Hour}, "[2 1]"},
		{[]time.Duration{time.Second, time.Hour, 2 * time.Hour}, "[2 3 1]"},
		{[]time.Duration{time.Second, 2 * time.Second, 3 * time.Second}, "[1 3 2]"},
		{[]time.Duration{-time.Hour, time.Hour}, "[1 2]"}, // the clocks differ
	} {
		var known []version
		for i, age := range c.ages {
			known = append(known, version{len(c.ages) - i, now.Add(-age)})
		}
		var got []int
		for _, v := range primaryFirst(known, now.Add(-10*time.Minute)) {
			got = append(got, v.number)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v: got %v, want %s", c.ages, got, c.want)
		}
	}
}

func TestEscape(t *testing.T) {
	for path, want := range map[string]string{"ergo/orders": "ergo/orders", "a b/ü?x#": "a%20b/%C3%BC%3Fx%23", "": ""} {
		if got := escape(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
