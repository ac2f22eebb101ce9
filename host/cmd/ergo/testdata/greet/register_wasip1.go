package main

import (
	"strings"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

func init() {
	guest.Register(func([]byte) (guest.Policy, error) { return guest.Policy{Request: greet}, nil })
}

func greet(request guest.Request) guest.Flow {
	text := guest.Subject() + " by " + guest.IdentifiedBy()
	for _, name := range guest.AttributeNames() {
		value, _ := guest.Attribute(name)
		text += ", " + name + " " + strings.ToUpper(value)
	}
	return request.Answer(200).Text(text)
}
