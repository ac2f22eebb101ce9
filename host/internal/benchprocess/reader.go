package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process"
	"github.com/ergoproxy/ergo/sdk/plugin"
)

// readerName is the plugin's file.
const readerName = "reader"

// reader is a policy that reads a field of each request.
type reader struct{ Profile string }

// OnRequest follows plugin.RequestHandler.
func (*reader) OnRequest(_ context.Context, x *plugin.Exchange) error {
	if x.Request.Header.Get("accept") == "" {
		return errors.New("there is no accept")
	}
	return nil
}

// serveReader is the plugin. It tells its process through its configuration's profile.
func serveReader() {
	stop := func() {}
	plugin.Serve(func(c plugin.Config) (any, error) {
		r := new(reader)
		if err := json.Unmarshal(c.JSON, r); err != nil || r.Profile == "" {
			return r, err
		}
		file, err := os.Create(r.Profile)
		stop = pprof.StopCPUProfile
		return r, errors.Join(err, pprof.StartCPUProfile(file))
	})
	stop()
}

const policyFile = `
name = "reader"
version = "1.0.0"
family = "observe"
summary = "Reads a field of each request"
license = "Apache-2.0"
abi = "plugin"
module = "` + readerName + `"
`

// readerWay shows exchanges to the plugin as the host does.
type readerWay struct {
	policy    policy.Policy
	exchanges []*exchange.Exchange
	stop      func()
}

func newReader(ctx context.Context, o options) (*readerWay, error) {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	artifact, err := policy.NewArtifact(readerName, []byte(policyFile), program)
	if err != nil {
		return nil, err
	}
	w := &readerWay{stop: func() {}}
	config := reader{}
	if o.profiles != "" {
		own, err := os.Create(filepath.Join(o.profiles, "host.pprof"))
		if err != nil {
			return nil, err
		}
		if config.Profile, err = filepath.Abs(filepath.Join(o.profiles, "plugin.pprof")); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(own); err != nil {
			return nil, err
		}
		w.stop = pprof.StopCPUProfile
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	w.policy, err = process.Loader{}.Load(ctx, policy.Spec{
		Name: readerName, Artifact: artifact, Config: text, Granted: new(policy.Granted), Log: slog.New(slog.DiscardHandler),
		Settings: manifest.Policy{
			Process: manifest.Process{Count: 1, Start: manifest.Duration(10 * time.Second), Memory: 8 << 30, Files: 1024},
			Limits: manifest.Limits{
				Time: manifest.Duration(10 * time.Second), Wait: manifest.Duration(10 * time.Second), Instances: o.inFlight,
				RequestBody: 1 << 20, ResponseBody: 1 << 20, LogLines: 100,
			},
		},
	})
	if err != nil {
		return nil, err
	}
	for range o.inFlight {
		w.exchanges = append(w.exchanges, newExchange())
	}
	return w, nil
}

// newExchange has a head of five fields.
func newExchange() *exchange.Exchange {
	x := &exchange.Exchange{ID: "test", Conn: &exchange.Conn{}, ClientIP: netip.MustParseAddr("192.0.2.7")}
	x.Request = exchange.Request{
		Method: "GET", Scheme: "https", Authority: "www.example.com", Target: "/users/7?page=2", Version: exchange.HTTP11,
	}
	for _, f := range head {
		x.Request.Header.Add(f.Name, f.Value)
	}
	return x
}

var head = [...]plugin.Field{
	{Name: "accept", Value: "text/html,application/xhtml+xml"}, {Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64)"},
	{Name: "accept-encoding", Value: "gzip, deflate, br"}, {Name: "accept-language", Value: "en-GB,en;q=0.5"},
	{Name: "cookie", Value: "session=0123456789abcdef"},
}

// visit follows way.
func (w *readerWay) visit(_ context.Context, lane int) error {
	x := w.exchanges[lane]
	i, err := w.policy.Acquire(x)
	if err != nil {
		return err
	}
	defer w.policy.Release(i)
	_, err = w.policy.(policy.RequestHead).OnRequestHead(i, x)
	return err
}

// close follows way.
func (w *readerWay) close() error {
	w.stop()
	return w.policy.Close(context.Background())
}
