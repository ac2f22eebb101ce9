package process

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

func TestStart(t *testing.T) {
	b := newAsking(t, `{"do": "start"}`)
	p := b.load(t)
	if got := answerOf(t, p); got != "before 1" {
		t.Errorf("got %q", got)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if got := answerOf(t, p); !strings.HasPrefix(got, "before ") {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	group.Wait()
	if got := answerOf(t, p); got != "before 402" {
		t.Errorf("got %q", got)
	}
	if got := measured(t, b, telemetry.MetricCounter, "own"); got != 402 {
		t.Errorf("counted %d", got)
	}
}

// What can't prepare takes no exchange, and says why.
func TestStartFails(t *testing.T) {
	for how, says := range map[string]string{"refuse": "prepare: not today", "hang": "deadline exceeded", "panic": "at the start"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, asking, `{"do": "start", "start": "`+how+`"}`)
			if how == "hang" {
				b.spec.Settings.Process.Start = manifest.Duration(time.Second)
			}
			err := loadError(t, b)
			if kind := kindOf(t, err); kind != policy.Load || !strings.Contains(err.Error(), says) {
				t.Errorf("got kind %v: %v; want %q in it", kind, err, says)
			}
		})
	}
	b := newBench(t, policyFile, `{"do": "start"}`)
	if err := loadError(t, b); !strings.Contains(err.Error(), "ergo_kv, which [policy.subject] does not grant") {
		t.Errorf("got %v", err)
	}
}

// What a process may do on its own account has bounds.
func TestStartBreaksProtocol(t *testing.T) {
	for _, role := range []string{"early", "greedy"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			b := playing(t, role)
			b.spec.Settings.Process.Start = manifest.Duration(5 * time.Second)
			if err := loadError(t, b); !strings.Contains(err.Error(), errProtocol.Error()) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("ready", func(t *testing.T) { // twice: it may have begun by then
		p, err := Loader{}.Load(t.Context(), playing(t, "ready").spec)
		if err != nil {
			return
		}
		eventually(t, "the process is ended", func() bool { return p.Stats().Discarded > 0 })
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
