package process

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// A process that hangs while it has nothing to do is found by a probe: no exchange is lost to it.
func TestHangsWhileIdle(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Limits.Time = manifest.Duration(time.Second)
	b.spec.Settings.Limits.Wait = manifest.Duration(30 * time.Second)
	p := b.load(t)
	pid, err := strconv.Atoi(answerOf(t, p, "x-do", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is replaced", func() bool {
		s := p.Stats()
		return s.Discarded > 0 && s.Instances == 1
	})
	if again := answerOf(t, p, "x-do", "pid"); again == strconv.Itoa(pid) {
		t.Errorf("process %s is still there", again)
	}
	if said := b.log(); !strings.Contains(said, "to a probe") {
		t.Errorf("got log\n%s\nwant the probe in it", said)
	}
}

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond,
		3: time.Second, 4: 2 * time.Second, 8: 32 * time.Second, 9: time.Minute, 1000: time.Minute,
	} {
		if got := backoff(failures); got != want {
			t.Errorf("after %d failures: got %v, want %v", failures, got, want)
		}
	}
}

// down returns a policy whose process is down, after so many failures.
func down(t *testing.T, failures int64) *Policy {
	t.Helper()
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Limits.Wait = manifest.Duration(time.Minute)
	p := b.load(t).(*Policy)
	p.stop()
	p.running.Wait()
	p.workers[0].failures.Store(failures)
	return p
}

// refusedAtOnce checks the failure of an exchange that found all processes in quarantine.
func refusedAtOnce(t *testing.T, err error) {
	t.Helper()
	var failure *policy.Error
	if !errors.As(err, &failure) || failure.Kind != policy.Trap || !failure.Secondary || !errors.Is(err, errNoProcess) {
		t.Errorf("got %v, want a trap that another exchange's failure brought", err)
	}
}

// With all processes in quarantine nothing waits, and whoever waits is let go.
func TestQuarantine(t *testing.T) {
	began := time.Now()
	p := down(t, patience)
	_, err := visitOnce(t, p, newExchange())
	refusedAtOnce(t, err)

	p = down(t, patience-1)
	failed := make(chan error, 1)
	go func() {
		_, err := visitOnce(t, p, newExchange())
		failed <- err
	}()
	eventually(t, "the exchange waits", func() bool { return p.Stats().Waits == 1 })
	if s := p.Stats(); s.Down != 1 || s.Instances != 0 {
		t.Errorf("got %+v, want one down", s)
	}
	p.workers[0].failures.Store(patience)
	p.announce()
	refusedAtOnce(t, <-failed)
	if took := time.Since(began); took > 50*time.Second {
		t.Errorf("it took %v", took)
	}
}

// One that keeps ending comes to be in quarantine, and out of it: no exchange passes it by meanwhile.
func TestQuarantineEnds(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	p := b.load(t)
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				x := newExchange()
				if _, err := visitOnce(t, p, x); err == nil && x.Request.Header.Value("x-seen") == "" {
					t.Error("an exchange passed the policy by")
				}
			}
		})
	}
	for range patience {
		created := p.Stats().Created
		_, _ = visitOnce(t, p, newExchange("x-do", "exit"))
		eventually(t, "the next process is up", func() bool { return p.Stats().Created > created && p.Stats().Instances == 1 })
	}
	close(stop)
	group.Wait()
	if said := b.log(); !strings.Contains(said, "in quarantine") {
		t.Errorf("got log\n%s\nwant a quarantine in it", said)
	}
	if _, err := visitOnce(t, p, newExchange()); err != nil {
		t.Error(err)
	}
}
