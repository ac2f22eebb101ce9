package main

import guest "github.com/ergoproxy/ergo/sdk/go"

func init() {
	guest.Register(func([]byte) (guest.Policy, error) {
		return guest.Policy{Request: decide}, nil
	})
}

// decide passes the request on if the answer is 200, and answers 403 with the
// answer's text otherwise. Without an answer it says why.
func decide(request guest.Request) guest.Flow {
	url, _ := request.Header().Get("x-ask")
	answered, err := guest.Fetch(guest.Call{
		Method: "POST", URL: url, Fields: []string{"x-target", request.Target()}, Body: []byte(request.Method()),
	})
	if err != nil {
		return request.Answer(503).Text(err.Error())
	}
	if answered.Status != 200 {
		return request.Answer(403).Text(string(answered.Body))
	}
	if users := answered.Values("x-user"); len(users) == 1 {
		request.Header().Set("x-user", users[0])
	}
	return guest.Continue
}
