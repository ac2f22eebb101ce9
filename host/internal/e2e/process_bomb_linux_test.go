package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// ordinary is a user who is not root, whom the limit of tasks does not bind.
const ordinary = 65534

// prebuilt names the variable with the policy's program, which that user can't build.
const prebuilt = "ERGO_E2E_SUBJECT"

// TestForkBomb has a process of an auth policy start processes without end: they are no more than its tasks, all end
// with it, and exchanges pass again.
func TestForkBomb(t *testing.T) {
	if os.Geteuid() == 0 {
		againAsOrdinary(t)
		return
	}
	path := os.Getenv(prebuilt)
	if path == "" {
		path = subject(t)
	}
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const more = 300
	limit := tasks(t) + more
	o := startOrigin(t)
	at := o.at(func(http.ResponseWriter, *http.Request) {})
	h := start(t, strings.Replace(guarded(o, guard(t, string(code), "subject")), "process = {", fmt.Sprintf("process = { tasks = %d,", limit), 1))
	ask := h.teller(t, at)
	l := startLoad(t, ask)
	hosttest.Eventually(t, func() bool { return l.passed.Load() > 20 }, "exchanges pass")
	status, _, body := ask("forkbomb")
	pid, err := strconv.Atoi(body)
	if status != 200 || err != nil {
		t.Fatalf("got status %d: %q", status, body)
	}
	most := 0
	hosttest.Eventually(t, func() bool {
		most = max(most, tasks(t))
		return most > limit-more/3 || len(groupOf(pid)) == 0 // its own process may not outlive it
	}, "there are many processes")
	if most > limit+100 { // the host's own threads are not bound
		t.Errorf("%d tasks, want at most %d", most, limit)
	}
	t.Logf("%d tasks of %d", most, limit)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		t.Error(err)
	}
	hosttest.Eventually(t, func() bool { return len(groupOf(pid)) == 0 }, "all that it has started ends")
	before := l.passed.Load()
	hosttest.Eventually(t, func() bool { return l.passed.Load() > before+20 }, "exchanges pass again")
	l.end()
}

// againAsOrdinary runs the test in a process of its own.
func againAsOrdinary(t *testing.T) {
	folder := t.TempDir()
	for _, f := range []string{filepath.Dir(folder), folder} {
		if err := os.Chmod(f, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{"e2e.test": os.Args[0], "subject": subject(t)}
	for to, from := range files {
		code, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, to), code, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	own := filepath.Join(folder, "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(own, ordinary, ordinary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(folder, "e2e.test"), "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	cmd.Dir = own
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + own, "TMPDIR=" + own, prebuilt + "=" + filepath.Join(folder, "subject")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
	said, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("no other user may be had here: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Logf("%s", said)
}

// tasks counts the processes and threads of this user.
func tasks(t *testing.T) (n int) {
	t.Helper()
	user := strconv.Itoa(os.Getuid())
	for _, text := range processes("status") {
		var mine bool
		for line := range strings.Lines(text) {
			switch name, value, _ := strings.Cut(line, ":"); name {
			case "Uid":
				mine = strings.Fields(value)[0] == user
			case "Threads":
				if threads, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && mine {
					n += threads
				}
			}
		}
	}
	return n
}

// groupOf returns the states of the processes of a group that have not ended (proc_pid_stat(5)).
func groupOf(group int) (states []string) {
	for _, text := range processes("stat") {
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if len(fields) > 2 && fields[2] == strconv.Itoa(group) && fields[0] != "Z" && fields[0] != "X" {
			states = append(states, fields[0])
		}
	}
	return states
}

// processes reads a file of each process that is still there.
func processes(file string) (texts []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/" + file)
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil {
			texts = append(texts, string(text))
		}
	}
	return texts
}
