// Command subject is the plugin of the tests of package process: its configuration says what it
// does, well or badly.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

func main() {
	if play := roles[filepath.Base(os.Args[0])]; play != nil {
		play()
		return
	}
	plugin.Serve(configure)
}

// config is what a use of it says.
type config struct {
	Refuse string   `json:"refuse"`
	Do     string   `json:"do"` // what it does with each request
	Fields []string `json:"fields"`
	Mark   string   `json:"mark"`  // tells uses apart
	Start  string   `json:"start"` // how it prepares
}

func configure(c plugin.Config) (any, error) {
	var s subject
	if err := json.Unmarshal(c.JSON, &s.config); err != nil {
		return nil, err
	}
	if s.Refuse != "" {
		return nil, errors.New(s.Refuse)
	}
	switch s.Do {
	case "body":
		return &holder{s}, nil
	case "stream":
		return &streamer{s}, nil
	case "failure":
		return &rescuer{s}, nil
	case "keys":
		return &keyed{subject: s}, nil
	case "start":
		return &starter{subject: s}, nil
	case "done":
		return watcher{}, nil
	}
	return &s, nil
}

type subject struct{ config }

// Fields follows plugin.FieldChooser.
func (s *subject) Fields() []string { return s.config.Fields }

// lingered counts the exchanges told to linger whose context has ended.
var lingered atomic.Int64

// deeds are what it can be told to do, by configuration or by the field x-do.
var deeds = map[string]func(ctx context.Context, x *plugin.Exchange) error{
	"": func(_ context.Context, x *plugin.Exchange) error {
		x.Request.Header.Set("x-seen", x.Request.Method+" "+x.Request.Target)
		return nil
	},
	"change": func(_ context.Context, x *plugin.Exchange) error {
		x.Request.Method, x.Request.Target, x.Request.Authority = "POST", "/changed?b", "changed.example"
		x.Request.Header.Del("x-gone")
		x.Request.Header.Add("x-many", "1")
		x.Request.Header.Add("x-many", "2")
		return nil
	},
	"answer": func(_ context.Context, x *plugin.Exchange) error {
		x.Answer(418, []plugin.Field{{Name: "x-pot", Value: "tea"}}, []byte("short and stout"))
		return nil
	},
	"list": func(_ context.Context, x *plugin.Exchange) error {
		var names []string
		for _, f := range x.Request.Header.Fields() {
			names = append(names, f.Name)
		}
		x.Answer(200, nil, []byte(strings.Join(names, ",")))
		return nil
	},
	"error": func(context.Context, *plugin.Exchange) error { return errors.New("it did not like it") },
	"panic": func(context.Context, *plugin.Exchange) error { panic("at the disco") },
	"exit":  func(context.Context, *plugin.Exchange) error { os.Exit(4); return nil },
	"stop": func(ctx context.Context, _ *plugin.Exchange) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			return err
		}
		<-ctx.Done() // the signal may come a moment later
		return ctx.Err()
	},
	"sleep": func(ctx context.Context, _ *plugin.Exchange) error { <-ctx.Done(); return ctx.Err() },
	"bad": func(_ context.Context, x *plugin.Exchange) error {
		x.Request.Header.Set("x-bad", "a\r\nb: c")
		return nil
	},
	"frame": func(_ context.Context, x *plugin.Exchange) error {
		x.Request.Header.Set("transfer-encoding", "chunked")
		return nil
	},
	"route": func(_ context.Context, x *plugin.Exchange) error {
		x.Route("blue", "key")
		x.Identify("somebody", "test", plugin.Field{Name: "role", Value: "cook"})
		x.Annotate("note", "taken")
		return nil
	},
	"who": who, "measure": measure, "mis-measure": misMeasure,
	"seal": seal, "sign": sign, "wrap": wrap, "hoard": hoard, "large": large,
	"secret": func(ctx context.Context, x *plugin.Exchange) error {
		secret, err := x.Secret(ctx, "token")
		_, missing := x.Secret(ctx, "other")
		x.Answer(200, nil, fmt.Appendf(nil, "%s %v %v", secret, err, missing))
		return nil
	},
	"count": func(ctx context.Context, x *plugin.Exchange) error {
		if err := x.Set(ctx, "last", []byte(x.Request.Target), time.Minute); err != nil {
			return err
		}
		last, err := x.Get(ctx, "last")
		if err != nil {
			return err
		}
		n, err := x.Add(ctx, "hits", 1, time.Minute)
		x.Answer(200, nil, fmt.Appendf(nil, "%s %d", last, n))
		return err
	},
	"fetch": func(ctx context.Context, x *plugin.Exchange) error {
		r, err := x.Fetch(ctx, plugin.Call{Method: "GET", URL: x.Request.Header.Get("x-url")})
		if err != nil {
			x.Answer(200, nil, []byte(err.Error()))
			return nil
		}
		x.Answer(r.Status, nil, r.Body)
		return nil
	},
	"environment": func(_ context.Context, x *plugin.Exchange) error {
		status, _ := os.ReadFile("/proc/self/status")
		limits, _ := os.ReadFile("/proc/self/limits")
		folder, _ := os.Stat(".")
		x.Answer(200, nil, fmt.Appendf(nil, "%s\n%v\n%s\n%s", strings.Join(os.Environ(), "\n"), folder.Mode(), status, limits))
		return nil
	},
	"flood": func(context.Context, *plugin.Exchange) error {
		line := bytes.Repeat([]byte("flood "), 200)
		for range 20_000 {
			os.Stdout.Write(append(line, '\n'))
			os.Stderr.Write(append(line, '\n'))
		}
		return nil
	},
	"bomb": func(context.Context, *plugin.Exchange) error {
		var held [][]byte
		for {
			held = append(held, bytes.Repeat([]byte{1}, 16<<20))
		}
	},
	"fork": func(_ context.Context, x *plugin.Exchange) error {
		var pids []string
		for range 20 {
			cmd := exec.Command("sleep", "600")
			if err := cmd.Start(); err != nil {
				return err
			}
			pids = append(pids, strconv.Itoa(cmd.Process.Pid))
		}
		x.Answer(200, nil, []byte(strings.Join(pids, " ")))
		return nil
	},
	"forkbomb": func(_ context.Context, x *plugin.Exchange) error {
		if err := exec.Command("sh", "-c", "b() { b | b & }; b").Start(); err != nil {
			return err
		}
		x.Answer(200, nil, []byte(strconv.Itoa(os.Getpid())))
		return nil
	},
	"trace": func(ctx context.Context, x *plugin.Exchange) error {
		tracer := otel.Tracer("subject")
		ctx, outer := tracer.Start(ctx, "look up", trace.WithAttributes(attribute.Int("shelf", 7)))
		defer outer.End()
		_, inner := tracer.Start(ctx, "read")
		inner.SetStatus(codes.Error, "nothing there")
		inner.End()
		_, err := x.Fetch(ctx, plugin.Call{Method: "HEAD", URL: x.Request.Header.Get("x-url")})
		return err
	},
	"linger": func(ctx context.Context, _ *plugin.Exchange) error {
		context.AfterFunc(ctx, func() { lingered.Add(1) })
		return nil
	},
	"lingered": func(_ context.Context, x *plugin.Exchange) error {
		x.Answer(200, nil, []byte(strconv.FormatInt(lingered.Load(), 10)))
		return nil
	},
	"pid": func(_ context.Context, x *plugin.Exchange) error {
		x.Answer(200, nil, []byte(strconv.Itoa(os.Getpid())))
		return nil
	},
}

// OnRequest follows plugin.RequestHandler.
func (s *subject) OnRequest(ctx context.Context, x *plugin.Exchange) error {
	do := s.Do
	if told := x.Request.Header.Get("x-do"); told != "" {
		do = told
	}
	x.Value = x.Request.Target
	if deed := deeds[do]; deed != nil {
		return deed(ctx, x)
	}
	return nil
}

// OnResponse follows plugin.ResponseHandler: it has kept what the request was.
func (s *subject) OnResponse(_ context.Context, x *plugin.Exchange) error {
	x.Response.Header.Set("x-request", x.Value.(string))
	if x.Response.Header.Get("x-teapot") != "" {
		x.Response.Status = 418
	}
	return nil
}

// holder sees bodies whole, and writes them in upper case.
type holder struct{ subject }

// OnRequest wants so much of the body as x-hold says.
func (h *holder) OnRequest(_ context.Context, x *plugin.Exchange) error {
	hold(x, x.Request.HasBody, x.Request.Header.Get("x-hold"))
	x.Request.Header.Set("x-saw", x.Request.Protocol)
	return nil
}

// OnResponse is the same for the response.
func (h *holder) OnResponse(_ context.Context, x *plugin.Exchange) error {
	hold(x, x.Response.HasBody, x.Response.Header.Get("x-hold"))
	return nil
}

func hold(x *plugin.Exchange, follows bool, told string) {
	if n, err := strconv.Atoi(told); err == nil && follows {
		x.Hold(n)
	}
}

// OnRequestBody follows plugin.RequestBodyHandler.
func (h *holder) OnRequestBody(_ context.Context, x *plugin.Exchange, body []byte) error {
	if bytes.Equal(body, []byte("refuse")) {
		x.Answer(422, nil, nil)
		return nil
	}
	x.Request.Header.Set("x-length", strconv.Itoa(len(body)))
	x.ReplaceBody(bytes.ToUpper(body))
	return nil
}

// OnResponseBody follows plugin.ResponseBodyHandler.
func (h *holder) OnResponseBody(_ context.Context, x *plugin.Exchange, body []byte) error {
	x.ReplaceBody(bytes.ToUpper(body))
	return nil
}

// streamer writes bodies in upper case as they pass, and twice.
type streamer struct{ subject }

func twice(piece []byte, last bool) ([]byte, error) {
	if bytes.Contains(piece, []byte("poison")) {
		return nil, errors.New("poisoned")
	}
	out := bytes.ToUpper(append(bytes.Clone(piece), piece...))
	if last {
		out = append(out, "!"...)
	}
	return out, nil
}

// StreamRequest follows plugin.RequestStreamer.
func (s *streamer) StreamRequest(context.Context, *plugin.Exchange) (plugin.Transform, error) {
	return twice, nil
}

// StreamResponse follows plugin.ResponseStreamer.
func (s *streamer) StreamResponse(context.Context, *plugin.Exchange) (plugin.Transform, error) {
	return twice, nil
}

// rescuer answers failures, and changes trailers.
type rescuer struct{ subject }

// OnFailure follows plugin.FailureHandler.
func (r *rescuer) OnFailure(_ context.Context, x *plugin.Exchange) error {
	x.Answer(203, nil, []byte("rescued from "+strconv.Itoa(x.Response.Status)))
	return nil
}

// OnTrailers follows plugin.TrailersHandler.
func (r *rescuer) OnTrailers(_ context.Context, x *plugin.Exchange) error {
	x.Trailers.Add("x-trailer", "added")
	return nil
}

// starter prepares before the first exchange, and asks the host beside exchanges.
type starter struct {
	subject
	host *plugin.Host
	turn sync.Mutex // a Host is for one at a time
}

// Start follows plugin.Starter.
func (s *starter) Start(ctx context.Context, h *plugin.Host) error {
	switch s.config.Start {
	case "refuse":
		return errors.New("not today")
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	case "panic":
		panic("at the start")
	}
	s.host = h
	return h.Set(ctx, "prepared", []byte("before"), time.Minute)
}

// OnRequest follows plugin.RequestHandler: it asks by its own account, first for something that it gives up.
func (s *starter) OnRequest(ctx context.Context, x *plugin.Exchange) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _ = s.host.Get(gone, "nothing")
	prepared, err := s.host.Get(ctx, "prepared")
	if err != nil {
		return err
	}
	if err := s.host.Measure(ctx, plugin.Count("own", 1)); err != nil {
		return err
	}
	n, err := s.host.Add(ctx, "own", 1, time.Minute)
	x.Answer(200, nil, fmt.Appendf(nil, "%s %d", prepared, n))
	return err
}

// watcher asks for nothing but the end of exchanges.
type watcher struct{}

// OnDone follows plugin.DoneHandler.
func (watcher) OnDone(_ *plugin.Exchange, status int, _ time.Duration) {
	fmt.Fprintln(os.Stderr, "done with", status)
}
