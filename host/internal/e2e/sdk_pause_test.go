package e2e

import "net/http"

// answers are what a guest's local response has.
var answers = map[string][]string{"X-Answer": {"1", "2"}}

var answerCases = []guestCase{
	{name: "answer", config: "answer headers 403", status: 403, unseen: true, response: answers, body: "answered"},
	{name: "answer-twice", config: "answer twice 403", status: 403, unseen: true, response: answers, body: "first"},
	{name: "answer-response", config: "answer response 451", status: 451, unseen: true, response: answers, body: "answered"},
	{
		name: "answer-body", config: "answer body 202", status: 202, unseen: true,
		request: guestRequest{method: "POST", body: hello}, response: answers, body: hello,
	},
	{
		name: "answer-grpc", config: "answer headers 403 7", unseen: true,
		request:  guestRequest{method: "POST", header: http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}},
		response: map[string][]string{"Grpc-Status": {"7"}, "Grpc-Message": {"answered"}, "X-Answer": {"1", "2"}},
	},
}

var pauseCases = []guestCase{
	{name: "tick-request", config: "tick 1 request", seen: map[string][]string{"X-Ticked": {"yes"}}},
	{name: "tick-isolated", config: "tick 1 request", more: `isolation = "exchange"`, seen: map[string][]string{"X-Ticked": {"yes"}}},
	{name: "tick-response", config: "tick 1 response", response: map[string][]string{"X-Ticked": {"yes"}}},
	{name: "tick-answer", config: "tick 1 answer", status: 503, unseen: true, body: "ticked"},
}

var propertyCases = []guestCase{
	{
		name: "property", config: "property request.method request.path plugin_root_id my.own=value no.such",
		more:    `proxy_wasm.root_id = "root"`,
		request: guestRequest{target: "/a?b"},
		seen: map[string][]string{"X-Property": {
			"request.method=GET", "request.path=/a?b", "plugin_root_id=root", "my.own=value", "no.such?",
		}},
	},
	{name: "foreign", config: "foreign clear_route_cache", seen: map[string][]string{"X-Foreign": {"[]"}}},
	{
		name: "foreign-unknown", config: "foreign nonsense", lacking: "rust assemblyscript",
		seen: map[string][]string{"X-Foreign": {"error status returned by host: not found"}},
	},
	{name: "foreign-unknown", config: "foreign nonsense", lacking: "go assemblyscript", seen: map[string][]string{"X-Foreign": {"NotFound"}}},
}
