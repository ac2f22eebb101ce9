package hosttest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Tour is a page whose commands work as they stand: those of its code blocks that
// are marked "sh tour", where a line "$ COMMAND" is a step, and the lines below are
// what it prints. In these "..." stands for anything up to what follows it.
//
// Steps run in bash, each in one of its own, in a folder that looks like the
// repository's as far as Files go. Three things are not as they stand: addresses
// 127.0.0.1:PORT are free ones, the same in the page and in Files; "make build" is
// done by go build; and "./ergo run ... &" and "go run PACKAGE ... ADDRESS &" run until
// the test ends, while the next step waits until they serve.
type Tour struct {
	Root  string   // of the repository, as seen by the test
	Page  string   // below Root
	Files []string // and folders below Root that the steps use
	Start string   // a first step that the page says in words, such as "./ergo run &"
	Tools []string // that the steps need beside bash; the test skips without them
}

// tourist is a tour that is under way.
type tourist struct {
	*testing.T
	root, folder string
	addresses    map[string]string // by those of the page
}

// Run takes the tour.
func (tour Tour) Run(t *testing.T) {
	t.Helper()
	for _, tool := range append(tour.Tools, "bash") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the tour needs %s: %v", tool, err)
		}
	}
	w := &tourist{T: t, root: tour.Root, folder: t.TempDir(), addresses: map[string]string{}}
	for _, file := range tour.Files {
		w.copy(file)
	}
	page, err := os.ReadFile(filepath.Join(tour.Root, tour.Page))
	if err != nil {
		t.Fatal(err)
	}
	steps := tourSteps(string(page))
	if len(steps) < 3 {
		t.Fatalf("%s has only %d steps", tour.Page, len(steps))
	}
	if tour.Start != "" {
		w.build()
		w.start(tour.Start)
	}
	for _, s := range steps {
		w.take(s)
	}
}

// copy takes a file or folder along. Policies are linked to: they are large, and
// name no addresses.
func (w *tourist) copy(name string) {
	w.Helper()
	from, err := filepath.Abs(filepath.Join(w.root, name))
	if err != nil {
		w.Fatal(err)
	}
	to := filepath.Join(w.folder, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		w.Fatal(err)
	}
	if name == "policies" {
		if err := os.Symlink(from, to); err != nil {
			w.Fatal(err)
		}
		return
	}
	err = filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := to + strings.TrimPrefix(path, from)
		if d.IsDir() {
			return os.MkdirAll(at, 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(at, []byte(w.replace(string(text))), 0o700)
	})
	if err != nil {
		w.Fatal(err)
	}
}

var tourAddress = regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*\b`)

// replace has a text name free addresses in place of its own.
func (w *tourist) replace(text string) string {
	return tourAddress.ReplaceAllStringFunc(text, func(address string) string {
		if w.addresses[address] == "" {
			l := listen(w, "127.0.0.1:0")
			w.addresses[address] = l.Addr().String()
			l.Close()
		}
		return w.addresses[address]
	})
}

// take runs one step, and compares what it prints, if the page shows that.
func (w *tourist) take(s tourStep) {
	w.Helper()
	switch words := strings.Fields(s.command); {
	case s.command == "make build":
		w.build()
		return
	case strings.HasPrefix(s.command, "./ergo run") && strings.HasSuffix(s.command, "&"):
		w.start(s.command)
		return
	case strings.HasPrefix(s.command, "go run") && strings.HasSuffix(s.command, " &"):
		w.serve(words[2], strings.Fields(w.replace(strings.Join(words[3:len(words)-1], " "))))
		return
	}
	command := exec.Command("bash", "-c", w.replace(s.command))
	command.Dir = w.folder
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		w.Fatalf("$ %s\n%v\n%s%s", s.command, err, out.String(), errs.String())
	}
	got := strings.TrimSpace(strings.ReplaceAll(out.String(), "\r", ""))
	if want := w.replace(s.want); want != "" && !tourPattern(want).MatchString(got) {
		w.Fatalf("$ %s\ngot:  %s\nwant: %s\n%s", s.command, got, want, errs.String())
	}
}

func (w *tourist) build() { w.compile("./host/cmd/ergo", "ergo") }

// compile makes a binary in the tour's folder, and returns its path.
func (w *tourist) compile(pkg, name string) string {
	w.Helper()
	folder, err := filepath.Abs(w.folder)
	if err != nil {
		w.Fatal(err)
	}
	binary := filepath.Join(folder, name)
	command := exec.Command("go", "build", "-o", binary, pkg)
	command.Dir = w.root
	if out, err := command.CombinedOutput(); err != nil {
		w.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// start runs a host until the test ends, which fails if it does not end well.
func (w *tourist) start(line string) {
	w.Helper()
	line = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "&"))
	log, stop := w.run(exec.Command("bash", "-c", "exec "+w.replace(line)))
	w.Cleanup(func() {
		if err := stop(); err != nil {
			w.Errorf("$ %s\n%v", line, err)
		}
		if w.Failed() {
			w.Logf("$ %s\n%s", line, log.String())
		}
	})
	Eventually(w, func() bool { return strings.Contains(log.String(), "admin API") }, "ergo serves")
}

// serve runs a package of the repository until the test ends. The last argument is the
// address where it serves.
func (w *tourist) serve(pkg string, arguments []string) {
	w.Helper()
	_, stop := w.run(exec.Command(w.compile(pkg, filepath.Base(pkg)), arguments...))
	address := arguments[len(arguments)-1]
	w.Cleanup(func() { _ = stop() }) // it need not know how to stop
	Eventually(w, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, pkg+" serves")
}

// run starts a process, which stop ends and waits for.
func (w *tourist) run(command *exec.Cmd) (log *Buffer, stop func() error) {
	w.Helper()
	log = new(Buffer)
	command.Dir, command.Stdout, command.Stderr = w.folder, log, log
	if err := command.Start(); err != nil {
		w.Fatal(err)
	}
	return log, func() error {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return command.Wait()
	}
}

// tourStep is a command of a tour with the output that the page shows for it.
type tourStep struct{ command, want string }

// tourPattern matches what a page shows.
func tourPattern(want string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, `.*?`) + `$`)
}

// tourSteps returns the steps of all code blocks marked "sh tour".
func tourSteps(page string) []tourStep {
	var steps []tourStep
	in := false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			in = line == "```sh tour"
		case in && isCommand:
			steps = append(steps, tourStep{command: command})
		case in && len(steps) > 0:
			last := &steps[len(steps)-1]
			if last.want == "" && (strings.HasSuffix(last.command, `\`) || strings.HasSuffix(last.command, "|")) {
				last.command += "\n" + line
				continue
			}
			last.want = strings.TrimSpace(last.want + "\n" + line)
		}
	}
	return steps
}
