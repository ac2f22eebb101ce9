package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
)

// subject is the program under testdata, built once.
var subject = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "subject-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "subject")
	build := exec.Command("go", "build", "-o", file, "./testdata/subject")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

const policyFile = `
name = "subject"
version = "1.0.0"
family = "transform"
summary = "Does as it is told"
license = "Apache-2.0"
abi = "plugin"
module = "subject"
`

// bench is what a policy under test is made with.
type bench struct {
	spec policy.Spec
	said *strings.Builder // what was logged; see log
	mu   *sync.Mutex
}

// log returns what was logged so far.
func (b *bench) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.String()
}

type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

func newBench(t testing.TB, file, config string) *bench {
	t.Helper()
	program, err := subject()
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := policy.NewArtifact("subject", []byte(file), program)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{said: new(strings.Builder), mu: new(sync.Mutex)}
	registry := state.NewRegistry(state.Options{})
	t.Cleanup(func() { _ = registry.Close() })
	b.spec = policy.Spec{
		Name: "subject", Artifact: artifact, Config: []byte(config),
		Log:     slog.New(slog.NewTextHandler(lockedWriter{b.mu, b.said}, nil)),
		Granted: &policy.Granted{Policy: "subject", KV: &policy.KV{Store: registry.Local("subject", state.Limits{Keys: 10, Bytes: 1 << 16, ValueBytes: 1 << 10})}},
		Settings: manifest.Policy{
			Grants:  artifact.File.Capabilities,
			Process: manifest.Process{Count: 1, Start: manifest.Duration(30 * time.Second), Memory: 8 << 30, Files: 1024},
			Limits: manifest.Limits{
				Time: manifest.Duration(10 * time.Second), Instances: 64, Wait: manifest.Duration(10 * time.Second),
				RequestBody: 1 << 20, ResponseBody: 1 << 20, LogLines: 100,
			},
		},
	}
	return b
}

// load makes the policy; its processes end with the test.
func (b *bench) load(t testing.TB) policy.Policy {
	t.Helper()
	p, err := Loader{}.Load(t.Context(), b.spec)
	if err != nil {
		t.Fatalf("%v; it logged %s", err, b.log())
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func load(t testing.TB, config string) policy.Policy { return newBench(t, policyFile, config).load(t) }

// known are the upstreams that there are.
type known string

func (k known) HasUpstream(name string) bool { return name == string(k) }

func newExchange(fields ...string) *exchange.Exchange {
	x := &exchange.Exchange{
		ID: "test", Conn: &exchange.Conn{}, ClientIP: netip.MustParseAddr("192.0.2.7"), Upstreams: known("blue"),
	}
	x.Request = exchange.Request{
		Method: "GET", Scheme: "https", Authority: "www.example.com", Target: "/a?b", Version: exchange.HTTP11,
	}
	for i := 0; i < len(fields); i += 2 {
		x.Request.Header.Add(fields[i], fields[i+1])
	}
	return x
}

// visitOnce takes an exchange through the request phase.
func visitOnce(t testing.TB, p policy.Policy, x *exchange.Exchange) (policy.Verdict, error) {
	t.Helper()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	return p.(policy.RequestHead).OnRequestHead(i, x)
}

// answerOf returns the body that the policy answers with.
func answerOf(t testing.TB, p policy.Policy, fields ...string) string {
	t.Helper()
	x := newExchange(fields...)
	verdict, err := visitOnce(t, p, x)
	if err != nil || verdict != policy.Answer {
		t.Fatalf("got verdict %v, error %v", verdict, err)
	}
	return bodyOf(t, x.Response.Body)
}

func bodyOf(t testing.TB, body io.Reader) string {
	t.Helper()
	if body == nil {
		return ""
	}
	read, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(read)
}

// kindOf is the kind of a policy's failure.
func kindOf(t testing.TB, err error) policy.Kind {
	t.Helper()
	var failure *policy.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a *policy.Error", err)
	}
	return failure.Kind
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
