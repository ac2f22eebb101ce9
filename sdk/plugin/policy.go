// Package plugin is for policies that are processes of their own: native code,
// heavy engines, and whatever has no WebAssembly target.
//
// A plugin is a program whose main calls Serve. The host starts it for each use of
// the policy, gives it its configuration, and shows it what the policy's methods ask
// for, each an optional interface:
//
//	func main() {
//		plugin.Serve(func(c plugin.Config) (any, error) {
//			var p teapot
//			return &p, json.Unmarshal(c.JSON, &p)
//		})
//	}
//
//	func (p *teapot) OnRequest(_ context.Context, x *plugin.Exchange) error {
//		if x.Request.Path() == "/coffee" {
//			x.Answer(418, nil, []byte("short and stout"))
//		}
//		return nil
//	}
//
// Exchanges are carried side by side, each by one goroutine at a time. An error is
// the policy's failure: it goes to the host's log, and the policy's failure rule
// applies.
package plugin

import (
	"context"
	"time"
)

// Config is what the manifest says of a use of the policy.
type Config struct {
	Policy string // its name in the manifest
	JSON   []byte // the use's configuration, valid by the schema in policy.toml
}

// What a policy can be asked. The context ends with the exchange. It carries the host's span of the
// policy if the exchange is sampled: spans that are begun under it (otel.Tracer) and end
// before a method returns are the host's to export, and Fetch is part of the span in its context.
type (
	// RequestHandler sees the head of each request. It may change it or Answer.
	RequestHandler interface {
		OnRequest(ctx context.Context, x *Exchange) error
	}
	// RequestBodyHandler sees the bytes of the request's body that policy.toml asks
	// for ("peek" or "buffer"), after the head. It may change both, or Answer.
	RequestBodyHandler interface {
		OnRequestBody(ctx context.Context, x *Exchange, body []byte) error
	}
	// RequestStreamer passes the request's body piece by piece, with mode "stream". A
	// nil Transform leaves it alone, and then it does not travel.
	RequestStreamer interface {
		StreamRequest(ctx context.Context, x *Exchange) (Transform, error)
	}
	// ResponseHandler sees the head of each response, and may change it or Answer
	// with another one.
	ResponseHandler interface {
		OnResponse(ctx context.Context, x *Exchange) error
	}
	// ResponseBodyHandler is to the response what RequestBodyHandler is to the request.
	ResponseBodyHandler interface {
		OnResponseBody(ctx context.Context, x *Exchange, body []byte) error
	}
	// ResponseStreamer is to the response what RequestStreamer is to the request.
	ResponseStreamer interface {
		StreamResponse(ctx context.Context, x *Exchange) (Transform, error)
	}
	// FailureHandler sees the host's own response to a failure, and may Answer in its
	// place. A policy without it sees that in OnResponse.
	FailureHandler interface {
		OnFailure(ctx context.Context, x *Exchange) error
	}
	// TrailersHandler sees and changes the response's trailers, as x.Trailers.
	TrailersHandler interface {
		OnTrailers(ctx context.Context, x *Exchange) error
	}
	// DoneHandler is told of the end of an exchange: the status that the client got,
	// and how long it took.
	DoneHandler interface {
		OnDone(x *Exchange, status int, took time.Duration)
	}
	// Starter prepares, before the first exchange and within process.start; its error fails the
	// start. The host can be asked, also later and beside exchanges, until ctx ends with the process.
	Starter interface {
		Start(ctx context.Context, h *Host) error
	}
	// KeySource is a source of keys: what [key.NAME.source] of the manifest names. It is asked
	// when the key is first needed, and then again and again, so that a new version is told by
	// returning it.
	KeySource interface {
		Starter
		// Keys returns the versions of a key, the primary first.
		Keys(ctx context.Context, name string) ([]KeyVersion, error)
	}
	// FieldChooser names the fields of heads that are to travel; without it all do.
	FieldChooser interface{ Fields() []string }
)

// KeyVersion is one version of a key.
type KeyVersion struct {
	ID       string // of 1 to 64 letters, digits, - and _
	Material []byte // in the encoding that the manifest says of the key
}

// Transform turns a piece of a body, of at most 64 KiB, into what takes its place; the
// last one may be empty. What it returns is sent before it is called again.
type Transform func(piece []byte, last bool) ([]byte, error)
