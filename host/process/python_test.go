package process

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// python is testdata/python/subject.py as a program.
type python []byte

// newPython makes the program for an interpreter that has what the SDK needs. The test is skipped where
// there is no Python, or no way to what it needs.
func newPython(t testing.TB) python {
	t.Helper()
	sdk, err := filepath.Abs("../../sdk/plugin/python")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	interpreter := filepath.Join(folder, "bin", "python")
	for _, command := range [][]string{
		{"python3", "-m", "venv", folder},
		{interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", filepath.Join(sdk, "requirements.txt")},
		{interpreter, "-c", "import sysconfig; open(sysconfig.get_path('purelib') + '/sdk.pth', 'w').write('" + sdk + "')"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v\n%s", command, err, out)
		}
	}
	text, err := os.ReadFile("testdata/python/subject.py")
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("#!"+interpreter+"\n"), text...)
}

// bench is newBench with the program in Python.
func (p python) bench(t testing.TB, file, config string) *bench {
	t.Helper()
	return p.in(t, newBench(t, file, config), file)
}

// asking is newAsking with the program in Python.
func (p python) asking(t testing.TB, config string) *bench {
	t.Helper()
	return p.in(t, newAsking(t, config), asking)
}

func (p python) in(t testing.TB, b *bench, file string) *bench {
	t.Helper()
	artifact, err := policy.NewArtifact("subject", []byte(file), p)
	if err != nil {
		t.Fatal(err)
	}
	b.spec.Artifact = artifact
	return b
}

func (p python) load(t testing.TB, config string) policy.Policy {
	t.Helper()
	return p.bench(t, policyFile, config).load(t)
}

// TestPython says of the SDK for Python what the other tests say of the one for Go.
func TestPython(t *testing.T) {
	program := newPython(t)
	for name, test := range map[string]func(*testing.T, python){
		"heads":        pythonHeads,
		"responses":    pythonResponses,
		"held":         pythonHeldBodies,
		"hold":         pythonHold,
		"streamed":     pythonStreamedBodies,
		"failure":      pythonFailure,
		"refused":      pythonRefuses,
		"own":          pythonOwn,
		"keys":         pythonKeys,
		"capabilities": pythonCapabilities,
		"fetch":        pythonFetch,
		"ends":         pythonEnds,
		"slow":         pythonSlow,
		"limits":       pythonLimits,
		"stranger":     pythonStranger,
		"hammer":       pythonHammer,
	} {
		t.Run(name, func(t *testing.T) { test(t, program) })
	}
}

// Whatever ends a process, or the handling of an event, is the failure of what was with it, and of nothing else.
func pythonEnds(t *testing.T, program python) {
	for _, c := range []struct {
		do     string
		kind   policy.Kind
		stays  bool // the process
		logged string
	}{
		{"error", policy.Trap, true, ""},
		{"bad", policy.Trap, true, ""},
		{"exit", policy.Trap, false, "SystemExit: 4"},
		{"crash", policy.Trap, false, ""},
		{"stop", policy.Timeout, false, ""},
	} {
		b := program.bench(t, policyFile, `{}`)
		b.spec.Settings.Limits.Time = manifest.Duration(5 * time.Second)
		p := b.load(t)
		pid := answerOf(t, p, "x-do", "pid")
		_, err := visitOnce(t, p, newExchange("x-do", c.do))
		if kind := kindOf(t, err); kind != c.kind {
			t.Errorf("%s: got %v", c.do, err)
		}
		if c.do == "error" && !strings.Contains(err.Error(), "ValueError: it did not like it") {
			t.Errorf("got %v", err)
		}
		if again := answerOf(t, p, "x-do", "pid"); (again == pid) != c.stays {
			t.Errorf("%s: process %s, before %s", c.do, again, pid)
		}
		if !strings.Contains(b.log(), c.logged) {
			t.Errorf("%s: got log %s", c.do, b.log())
		}
	}
	x := newExchange("x-do", "frame")
	if _, err := visitOnce(t, program.load(t, `{}`), x); err != nil || x.Request.Header.Has("transfer-encoding") {
		t.Errorf("got %v, fields %v", err, x.Request.Header.Fields())
	}
}

// An exchange that waits for too long is given up, while others go on, and what it waits in is cancelled.
func pythonSlow(t *testing.T, program python) {
	b := program.bench(t, policyFile, `{"do": "wait"}`)
	b.spec.Settings.Limits.Time = manifest.Duration(2 * time.Second)
	p := b.load(t)
	var others sync.WaitGroup
	var passed atomic.Int64
	stop := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := visitOnce(t, p, newExchange("x-do", "pass")); err != nil {
					t.Error(err)
				}
				passed.Add(1)
			}
		}
	})
	_, err := visitOnce(t, p, newExchange())
	close(stop)
	others.Wait()
	if kind := kindOf(t, err); kind != policy.Timeout || passed.Load() == 0 {
		t.Errorf("got kind %v, want timeout; %d passed meanwhile", kind, passed.Load())
	}
	eventually(t, "it was cancelled", func() bool { return strings.Contains(b.log(), "it was cancelled") })
	if s := p.Stats(); s.Created != 1 {
		t.Errorf("got %d processes, want the first alone", s.Created)
	}
}

func pythonLimits(t *testing.T, program python) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are limited on Linux only")
	}
	t.Setenv("ERGO_TEST_SECRET", "do not pass this on")
	b := program.bench(t, policyFile, `{}`)
	b.spec.Settings.Process.Memory = 2 << 30
	b.spec.Settings.Limits.LogLines = 10
	p := b.load(t)
	said := answerOf(t, p, "x-do", "environment")
	if strings.Contains(said, "ERGO_TEST_SECRET") || !regexp.MustCompile(`NoNewPrivs:\s+1`).MatchString(said) {
		t.Errorf("got\n%s", said)
	}
	if peak := regexp.MustCompile(`VmPeak:.*|VmHWM:.*`).FindAllString(said, -1); peak != nil {
		t.Logf("it takes %s", peak)
	}
	if _, err := visitOnce(t, p, newExchange("x-do", "flood")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "lines are lost", func() bool { return p.Stats().LinesLost > 1000 })
	_, err := visitOnce(t, p, newExchange("x-do", "bomb"))
	if kind := kindOf(t, err); kind != policy.Trap {
		t.Errorf("got kind %v, want trap", kind)
	}
	if _, err := visitOnce(t, p, newExchange()); err != nil {
		t.Error(err)
	}
}

// Who does not show the host's certificate does not get to the policy.
func pythonStranger(t *testing.T, program python) {
	said := answerOf(t, program.load(t, `{}`), "x-do", "environment")
	_, home, _ := strings.Cut("\n"+said, "\nHOME=")
	folder, _, _ := strings.Cut(home, "\n")
	sockets, err := filepath.Glob(filepath.Join(folder, "*", "policy"))
	if err != nil || len(sockets) != 1 {
		t.Fatal(sockets, err)
	}
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	for name, certificates := range map[string][]tls.Certificate{"none": nil, "another": other.TLS.Certificates} {
		raw, err := net.Dial("unix", sockets[0])
		if err != nil {
			t.Fatal(err)
		}
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, Certificates: certificates})
		_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("with certificate %s: got %d bytes", name, n)
		}
		raw.Close()
	}
	raw, err := net.Dial("unix", sockets[0])
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_, _ = raw.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	if n, err := raw.Read(make([]byte, 1)); err == nil {
		t.Errorf("without TLS: got %d bytes", n)
	}
}

func pythonHammer(t *testing.T, program python) {
	b := program.bench(t, policyFile, `{}`)
	b.spec.Settings.Process.Count = 2
	p := b.load(t)
	hammer(t, p, 3, "", "later")
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// BenchmarkPython is BenchmarkRequest with both SDKs, by what it costs both sides.
func BenchmarkPython(b *testing.B) {
	program := newPython(b)
	const config = `{"do": "nothing", "fields": ["accept"]}`
	b.Run("sdk=go", func(b *testing.B) { benchmarkCost(b, newBench(b, policyFile, config)) })
	b.Run("sdk=python", func(b *testing.B) { benchmarkCost(b, program.bench(b, policyFile, config)) })
}

func benchmarkCost(b *testing.B, with *bench) {
	p := with.load(b)
	const inFlight = 64
	pid := p.(*Policy).workers[0].current.Load().PID()
	host, process := spent(b, os.Getpid()), spent(b, pid)
	b.ResetTimer()
	var group sync.WaitGroup
	for n := range inFlight {
		group.Go(func() {
			for i := n; i < b.N; i += inFlight {
				if _, err := visitOnce(b, p, newExchange("accept", "*/*")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64((spent(b, os.Getpid())-host).Microseconds())/float64(b.N), "host-cpu-us/op")
	b.ReportMetric(float64((spent(b, pid)-process).Microseconds())/float64(b.N), "process-cpu-us/op")
}

// spent is the processor time of a process (proc_pid_stat(5), in hundredths of a second).
func spent(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	var sum int
	for _, f := range strings.Fields(fields)[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond
}
