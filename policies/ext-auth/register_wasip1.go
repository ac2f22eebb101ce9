package main

import guest "github.com/ergoproxy/ergo/sdk/go"

func init() {
	guest.Register(func(config []byte) (guest.Policy, error) {
		e, err := newExtAuth(config)
		if err != nil {
			return guest.Policy{}, err
		}
		return guest.Policy{Request: e.request}, nil
	})
}
