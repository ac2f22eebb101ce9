package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// server is where the API is.
type server struct {
	address   string // without the path /v1
	namespace string
}

// statusError is an answer of the server that is none of what was asked for. What the server
// says beside it stays out: it goes to logs, and may cite what it was told.
type statusError struct {
	status int
	path   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answers %d to %s", e.status, e.path)
}

// statusOf is the status by which the server refused, 0 if it was another error.
func statusOf(err error) int {
	var refused *statusError
	if errors.As(err, &refused) {
		return refused.status
	}
	return 0
}

// ask sends a request with a body of JSON, or none, and reads the answer's into answer.
func (s server) ask(ctx context.Context, h *plugin.Host, token, method, path string, body, answer any) error {
	call := plugin.Call{Method: method, URL: strings.TrimRight(s.address, "/") + "/v1/" + path}
	call.Header = []plugin.Field{{Name: "x-vault-request", Value: "true"}}
	if token != "" {
		call.Header = append(call.Header, plugin.Field{Name: "x-vault-token", Value: token})
	}
	if s.namespace != "" {
		call.Header = append(call.Header, plugin.Field{Name: "x-vault-namespace", Value: s.namespace})
	}
	if body != nil {
		call.Header = append(call.Header, plugin.Field{Name: "content-type", Value: "application/json"})
		var err error
		if call.Body, err = json.Marshal(body); err != nil {
			return err
		}
	}
	reply, err := h.Fetch(ctx, call)
	if err != nil {
		return err
	}
	if reply.Status != 200 {
		return &statusError{reply.Status, path}
	}
	if err := json.Unmarshal(reply.Body, answer); err != nil {
		return fmt.Errorf("the answer to %s is not what the API has", path)
	}
	return nil
}

// escape makes a path of segments that are not the configuration's.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}
