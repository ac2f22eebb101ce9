package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/ergoproxy/ergo/host/engine"
)

// maxAnswerBytes bounds what a client reads of an answer.
const maxAnswerBytes = 64 << 20

// ErrNoHost says that what answers is not the admin API of a host.
var ErrNoHost = errors.New("is no admin API of an Ergo host")

// Client calls the API of a running host. What the host refuses comes back as a
// *Problem. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient returns a client for an address as in Options; token may be empty.
func NewClient(address, token string) *Client {
	path, isUnix := strings.CutPrefix(address, unixPrefix)
	if !isUnix {
		return &Client{base: "http://" + address, token: token, http: &http.Client{Transport: &http.Transport{}}}
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{base: "http://localhost", token: token, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close closes the client's connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the host's state.
func (c *Client) Status(ctx context.Context) (*engine.Status, error) {
	return call[engine.Status](ctx, c, "GET", "/v1/status", nil)
}

// History returns the host's swaps, oldest first.
func (c *Client) History(ctx context.Context) ([]engine.Record, error) {
	records, err := call[[]engine.Record](ctx, c, "GET", "/v1/history", nil)
	if err != nil {
		return nil, err
	}
	return *records, nil
}

// Swap makes the host run another manifest.
func (c *Client) Swap(ctx context.Context, req SwapRequest) (*engine.Change, error) {
	return call[engine.Change](ctx, c, "POST", "/v1/swap", req)
}

// Rollback makes the host run an earlier generation.
func (c *Client) Rollback(ctx context.Context, steps int) (*engine.Change, error) {
	return call[engine.Change](ctx, c, "POST", "/v1/rollback", RollbackRequest{steps})
}

func call[T any](ctx context.Context, c *Client, method, path string, body any) (*T, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, fmt.Errorf("admin address: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the host's admin API: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	if resp.Header.Get(apiHeader) == "" {
		return nil, fmt.Errorf("%s: %w (it answers %s)", c.base, ErrNoHost, resp.Status)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, problemOf(resp.StatusCode, text)
	}
	var result T
	if err := json.Unmarshal(text, &result); err != nil {
		return nil, fmt.Errorf("decode the answer to %s: %w", path, err)
	}
	return &result, nil
}

// problemOf reads a refusal, which may be of something that is no Ergo host.
func problemOf(status int, text []byte) *Problem {
	var p Problem
	if json.Unmarshal(text, &p) != nil || p.Status == 0 {
		return &Problem{Title: http.StatusText(status), Status: status, Detail: "the answer is " + http.StatusText(status)}
	}
	return &p
}
