package main

import (
	"errors"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

func init() { guest.Register(configure) }

func configure([]byte) (guest.Policy, error) {
	token, found := guest.Secret("token")
	if !found {
		return guest.Policy{}, errors.New("the manifest names no token")
	}
	passed, err := guest.DefineCounter("badge.passed")
	took, tookErr := guest.DefineHistogram("took_ns")
	if err := errors.Join(err, tookErr); err != nil {
		return guest.Policy{}, err
	}
	return guest.Policy{Request: func(request guest.Request) guest.Flow {
		if shown, _ := request.Header().Get("x-token"); shown != token {
			return request.Answer(401).Text("who are you?\n")
		}
		left, bounded := guest.Remaining()
		if guest.Now() < 1_700_000_000e9 || guest.Monotonic() < guest.Began() || !bounded || left <= 0 || left > 60e9 {
			return request.Answer(500).Text("the clocks are wrong\n")
		}
		err := errors.Join(guest.Identify("alice"), guest.SetAttribute("group", "admin"), guest.SetAttribute("mail", "alice@example.com"))
		if err != nil {
			return request.Answer(500).Text(err.Error())
		}
		passed.Add(1)
		took.Observe(guest.Monotonic() - guest.Began())
		return guest.Continue
	}}, nil
}
