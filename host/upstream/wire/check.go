package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/manifest"
)

var errNotServing = errors.New("not serving")

// maxCheckBody bounds what is read of a probe's answer.
const maxCheckBody = 64 << 10

// checkAgent is the User-Agent of probes.
const checkAgent = "ergo-health"

// Check asks the endpoint for its health, on a connection of its own.
func (c *Client) Check(ctx context.Context, h *manifest.Health, authority string) error {
	if h.Kind == "tcp" {
		raw, err := c.connector.dialer.DialContext(ctx, "tcp", c.host)
		if err != nil {
			return err
		}
		return raw.Close()
	}
	cn, err := c.connector.connect(ctx)
	if err != nil {
		return err
	}
	defer cn.close()
	if h.Kind == "grpc" {
		if cn.multi == nil {
			return errNotHTTP2
		}
		return c.checkGRPC(ctx, cn, h.Service, authority)
	}
	return c.checkHTTP(ctx, cn, h, authority)
}

func (c *Client) checkHTTP(ctx context.Context, cn *conn, h *manifest.Health, authority string) error {
	ask := c.checkMulti
	if cn.single != nil {
		ask = c.checkSingle
	}
	status, err := ask(ctx, cn, h.Path, authority)
	if err != nil {
		return err
	}
	healthy := status >= 200 && status <= 399
	if len(h.Status) > 0 {
		healthy = slices.Contains(h.Status, status)
	}
	if !healthy {
		return fmt.Errorf("%w: status %d", errNotServing, status)
	}
	return nil
}

// checkSingle returns the status of a GET over HTTP/1.1. The connection can't be
// used again.
func (c *Client) checkSingle(ctx context.Context, cn *conn, path, authority string) (status int, err error) {
	var asked, answered exchange.Header
	asked.Add("User-Agent", checkAgent)
	trip := http1.Trip{
		Client:   &c.single,
		Conn:     cn.single,
		Life:     exchange.NewLife(ctx),
		Request:  message.RequestHead{Method: "GET", Authority: authority, Target: path, Header: &asked},
		Response: message.ResponseHead{Header: &answered},
	}
	defer trip.Release()
	if err := trip.Do(); err != nil {
		return 0, errors.Join(err, ctx.Err())
	}
	return trip.Response.Status, nil
}

// checkMulti is checkSingle over HTTP/2.
func (c *Client) checkMulti(ctx context.Context, cn *conn, path, authority string) (status int, err error) {
	resp, err := cn.multi.RoundTrip(c.checkRequest(ctx, http.MethodGet, path, authority))
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// checkRequest makes a request over HTTP/2.
func (c *Client) checkRequest(ctx context.Context, method, path, authority string) *http.Request {
	req := &http.Request{
		Method: method,
		URL:    &url.URL{Scheme: c.scheme, Host: c.host, Opaque: path},
		Host:   authority,
		Header: http.Header{"User-Agent": {checkAgent}},
	}
	return req.WithContext(ctx)
}

// checkGRPC asks as the gRPC Health Checking Protocol, version 1, says. Its two
// messages are small enough to be written by hand: HealthCheckRequest has the
// service as field 1, HealthCheckResponse the status as field 1.
func (c *Client) checkGRPC(ctx context.Context, cn *conn, service, authority string) error {
	message := []byte{}
	if service != "" {
		message = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service))), service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	req := c.checkRequest(ctx, http.MethodPost, "/grpc.health.v1.Health/Check", authority)
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	req.Body = io.NopCloser(bytes.NewReader(append(frame, message...)))
	req.ContentLength = -1
	resp, err := cn.multi.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxCheckBody))
	if err != nil {
		return err
	}
	status := resp.Trailer.Get("Grpc-Status")
	if status == "" {
		status = resp.Header.Get("Grpc-Status") // "Trailers-Only"
	}
	if resp.StatusCode != http.StatusOK || status != "0" {
		return fmt.Errorf("%w: status %d, grpc-status %q", errNotServing, resp.StatusCode, status)
	}
	if !serving(answer) {
		return errNotServing
	}
	return nil
}

// serving reads one frame with a HealthCheckResponse whose status is SERVING.
func serving(frame []byte) bool {
	const servingStatus = 1
	if len(frame) < 5 || frame[0] != 0 || int(binary.BigEndian.Uint32(frame[1:])) != len(frame)-5 {
		return false
	}
	return bytes.Equal(frame[5:], []byte{1 << 3, servingStatus})
}
