package main

import guest "github.com/ergoproxy/ergo/sdk/go"

func init() {
	guest.Register(func(config []byte) (guest.Policy, error) {
		basic, err := newBasic(config)
		if err != nil {
			return guest.Policy{}, err
		}
		return guest.Policy{Request: basic.request}, nil
	})
}
