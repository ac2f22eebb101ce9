package process

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// loadError is what becomes of a policy that must not load.
func loadError(t *testing.T, b *bench) error {
	t.Helper()
	p, err := Loader{}.Load(t.Context(), b.spec)
	if err == nil {
		_ = p.Close(context.Background())
		t.Fatal("it loaded")
	}
	return err
}

// playing has the program play a role of those in testdata/subject/rogue.go.
func playing(t *testing.T, role string) *bench {
	t.Helper()
	b := newBench(t, policyFile, `{}`)
	b.spec.Artifact.File.Module = role // its program goes by the name that it is started under
	return b
}

func TestRefusedConfiguration(t *testing.T) {
	err := loadError(t, newBench(t, policyFile, `{"refuse": "no tea today"}`))
	if kind := kindOf(t, err); kind != policy.Config || !strings.Contains(err.Error(), "no tea today") {
		t.Errorf("got kind %v: %v", kind, err)
	}
}

// What is no plugin, or not one for this host, does not load, and says why as far as it can
// be known.
func TestBadStart(t *testing.T) {
	for role, says := range map[string]string{
		"exits": "no such luck", "garbage": "plugin", "version": "version", "mute": "timeout",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			b := playing(t, role)
			if role == "mute" {
				b.spec.Settings.Process.Start = manifest.Duration(time.Second)
			}
			err := loadError(t, b)
			if kind := kindOf(t, err); kind != policy.Load || !strings.Contains(err.Error(), says) {
				t.Errorf("got kind %v: %v; want %q in it", kind, err, says)
			}
		})
	}
}

func TestUngrantedCapability(t *testing.T) {
	b := newBench(t, policyFile+`capabilities = ["ergo_secret", "ergo_cake", "ergo_cache", "ergo_clock"]`, `{}`)
	b.spec.Settings.Grants = nil
	err := loadError(t, b)
	for _, want := range []string{`add grants = ["ergo_secret"] to [policy.subject]`, "ergo_cake, which processes do not know",
		"ergo_cache, which only Wasm policies have", "ergo_clock, which a process does not need"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// A process that breaks the protocol is ended, its exchange fails, and another one takes
// its place: never does an exchange pass.
func TestBrokenProtocol(t *testing.T) {
	for _, role := range []string{"noise", "unknown", "zero", "chatty", "pieces", "empty", "huge", "hangup"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			p := playing(t, role).load(t)
			verdict, err := visitOnce(t, p, newExchange())
			// Of the chatty one the first answer is sound, if it comes before the second is seen.
			if err != nil || role != "chatty" {
				if kind := kindOf(t, err); kind != policy.Trap || verdict != policy.Continue {
					t.Errorf("got %v, kind %v", verdict, kind)
				}
			}
			eventually(t, "another process is up", func() bool {
				s := p.Stats()
				return s.Discarded > 0 && s.Instances == 1 && s.Created > 1
			})
		})
	}
}

// Whatever ends a process, exchanges that are with it fail as a trap, and later ones find
// another.
func TestCrash(t *testing.T) {
	p := load(t, `{}`)
	for _, do := range []string{"exit", "sleep"} {
		pid, _ := strconv.Atoi(answerOf(t, p, "x-do", "pid"))
		failed := make(chan error, 1)
		go func() {
			_, err := visitOnce(t, p, newExchange("x-do", do))
			failed <- err
		}()
		if do == "sleep" {
			eventually(t, "the exchange is with the process", func() bool { return p.Stats().Busy == 1 })
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		if kind := kindOf(t, <-failed); kind != policy.Trap {
			t.Errorf("%s: got kind %v, want trap", do, kind)
		}
		if again := answerOf(t, p, "x-do", "pid"); again == strconv.Itoa(pid) {
			t.Errorf("%s: process %s is still there", do, again)
		}
	}
}

// A process that does not answer costs its exchange limits.time, and is ended.
func TestStopped(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Limits.Time = manifest.Duration(time.Second)
	p := b.load(t)
	pid := answerOf(t, p, "x-do", "pid")
	_, err := visitOnce(t, p, newExchange("x-do", "stop"))
	if kind := kindOf(t, err); kind != policy.Timeout {
		t.Errorf("got kind %v, want timeout", kind)
	}
	if again := answerOf(t, p, "x-do", "pid"); again == pid {
		t.Errorf("process %s is still there", again)
	}
}

// One exchange that takes too long is given up, and the process lives on for the others.
func TestSlowExchange(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Limits.Time = manifest.Duration(time.Second)
	p := b.load(t)
	pid := answerOf(t, p, "x-do", "pid")
	var others sync.WaitGroup
	stop := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := visitOnce(t, p, newExchange()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	_, err := visitOnce(t, p, newExchange("x-do", "sleep"))
	close(stop)
	others.Wait()
	if kind := kindOf(t, err); kind != policy.Timeout {
		t.Errorf("got kind %v, want timeout", kind)
	}
	if again := answerOf(t, p, "x-do", "pid"); again != pid {
		t.Errorf("process %s took the place of %s", again, pid)
	}
}

// While no process is up an exchange waits limits.wait, and then fails as an overload.
func TestNoProcess(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Limits.Wait = manifest.Duration(50 * time.Millisecond)
	p := b.load(t).(*Policy)
	p.stop()
	p.running.Wait()
	_, err := visitOnce(t, p, newExchange())
	if kind := kindOf(t, err); kind != policy.Overload {
		t.Errorf("got kind %v, want overload", kind)
	}
}

func TestFloodIsCut(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Limits.LogLines = 10
	p := b.load(t)
	if _, err := visitOnce(t, p, newExchange("x-do", "flood")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "lines are lost", func() bool { return p.Stats().LinesLost > 1000 })
	if n := len(b.log()); n > 1<<20 {
		t.Errorf("got %d bytes of log", n)
	}
	if _, err := visitOnce(t, p, newExchange()); err != nil {
		t.Error(err)
	}
}

// What a process gets of its surroundings is what it is given.
func TestEnvironment(t *testing.T) {
	t.Setenv("ERGO_TEST_SECRET", "do not pass this on")
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Process.Files = 321
	said := answerOf(t, b.load(t), "x-do", "environment")
	if strings.Contains(said, "ERGO_TEST_SECRET") {
		t.Error("it sees the host's environment")
	}
	wanted := []string{"drwx------", `PATH=/usr/local/bin:/usr/bin:/bin`}
	if runtime.GOOS == "linux" {
		wanted = append(wanted, `NoNewPrivs:\s+1`, `Max open files\s+321\s`, `Max address space\s+8589934592\s`, `Max core file size\s+0\s`)
	}
	for _, want := range wanted {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("got\n%s\nwant %s in it", said, want)
		}
	}
}

// A process that takes more memory than it may is ended by its own limit.
func TestMemoryBomb(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is limited on Linux only")
	}
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Process.Memory = 2 << 30
	b.spec.Settings.Limits.Time = manifest.Duration(time.Minute)
	p := b.load(t)
	_, err := visitOnce(t, p, newExchange("x-do", "bomb"))
	if kind := kindOf(t, err); kind != policy.Trap {
		t.Errorf("got kind %v, want trap", kind)
	}
	if _, err := visitOnce(t, p, newExchange()); err != nil {
		t.Error(err)
	}
}

// What a process has started ends with it.
func TestForksEndWithTheirProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are no process groups to end")
	}
	p := load(t, `{}`)
	pids := strings.Fields(answerOf(t, p, "x-do", "fork"))
	if len(pids) != 20 {
		t.Fatalf("got processes %v", pids)
	}
	if _, err := visitOnce(t, p, newExchange("x-do", "exit")); err == nil {
		t.Fatal("the process did not end")
	}
	for _, pid := range pids {
		eventually(t, "process "+pid+" ends", func() bool {
			status, err := os.ReadFile("/proc/" + pid + "/status")
			return err != nil || strings.Contains(string(status), "State:\tZ")
		})
	}
}

// Close leaves nothing behind: no process, no folder, no goroutine.
func TestCloseLeavesNothing(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	t.Setenv("TMPDIR", t.TempDir())
	before := runtime.NumGoroutine()
	b.spec.Settings.Process.Count = 2
	p, err := Loader{}.Load(t.Context(), b.spec)
	if err != nil {
		t.Fatal(err)
	}
	pid := answerOf(t, p, "x-do", "pid")
	if err := p.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + pid); err == nil && runtime.GOOS == "linux" {
		t.Errorf("process %s is still there", pid)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// Several processes share the load.
func TestProcessesShareTheLoad(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Process.Count = 3
	p := b.load(t)
	var mu sync.Mutex
	pids := map[string]int{}
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			for range 20 {
				pid := answerOf(t, p, "x-do", "pid")
				mu.Lock()
				pids[pid]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(pids) != 3 {
		t.Errorf("got exchanges by process %v, want three", pids)
	}
}

func TestHammer(t *testing.T) {
	b := newBench(t, policyFile, `{}`)
	b.spec.Settings.Process.Count = 2
	hammer(t, b.load(t), 5, "")
}

// Under load, with processes that are killed all the time, every exchange either has been
// through the policy or failed. Deeds are what exchanges have it do, by turns.
func hammer(t *testing.T, p policy.Policy, kills int, deeds ...string) {
	t.Helper()
	var group sync.WaitGroup
	var passed, failed atomic.Int64
	stop := make(chan struct{})
	for n := range 16 {
		group.Go(func() {
			do := deeds[n%len(deeds)]
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				x := newExchange("x-do", do)
				x.Request.Target = fmt.Sprintf("/%d/%d", n, i)
				_, err := visitOnce(t, p, x)
				switch seen := x.Request.Header.Value("x-seen"); {
				case err != nil:
					failed.Add(1)
				case seen == "GET "+x.Request.Target:
					passed.Add(1)
				default:
					t.Errorf("%s passed with x-seen %q", x.Request.Target, seen)
				}
			}
		})
	}
	for range kills {
		// With a process that has just been killed it may be in vain.
		x := newExchange("x-do", "pid")
		if _, err := visitOnce(t, p, x); err == nil {
			pid, _ := strconv.Atoi(bodyOf(t, x.Response.Body))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		eventually(t, "two processes are up", func() bool { return p.Stats().Instances == 2 })
	}
	close(stop)
	group.Wait()
	if passed.Load() == 0 || failed.Load() == 0 {
		t.Errorf("%d passed and %d failed: neither must be none", passed.Load(), failed.Load())
	}
}

// A process is told when an exchange is over: contexts end, and nothing of it stays.
func TestExchangesEnd(t *testing.T) {
	p := load(t, `{}`)
	for range 3 {
		if _, err := visitOnce(t, p, newExchange("x-do", "linger")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "contexts of exchanges end", func() bool { return answerOf(t, p, "x-do", "lingered") == "3" })
}

// Who asks for nothing but the end of exchanges is told of it.
func TestDone(t *testing.T) {
	b := newBench(t, policyFile, `{"do": "done"}`)
	p := b.load(t)
	x := newExchange()
	x.Response.Status = 204
	if _, err := visitOnce(t, p, x); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is told", func() bool { return strings.Contains(b.log(), "done with 204") })
}
