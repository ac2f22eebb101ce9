package wasm

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

func capability(name string) HostModule {
	nothing := func(context.Context, api.Module, []uint64) {}
	return HostModule{Name: name, Functions: []HostFunction{
		{Name: "use", Call: nothing},
		{Name: "use_more", Params: []api.ValueType{I32}, Call: nothing},
	}}
}

// Everything that is wrong is told at once, with what would be right.
func TestImportsAreChecked(t *testing.T) {
	e := openEngine(t, Options{Capabilities: []HostModule{capability("cap_a"), capability("cap_b")}})
	p := compile(t, e, importsModule, testABI(startWell, nil))
	err := p.CheckImports(Permission{Policy: "my policy", Declared: []string{"cap_b"}, Granted: []string{"other"}})
	want := strings.Join([]string{
		`imports test.strat, which the host does not have (did you mean start?)`,
		`imports test.block as (i32) -> i64, but it is ()`,
		`imports tset.start, but the host has no module tset (did you mean test?): it has cap_a, cap_b, env, test, wasi_snapshot_preview1, wasi_unstable`,
		`imports gojs.abort, but the host has no module gojs: it has cap_a, cap_b, env, test, wasi_snapshot_preview1, wasi_unstable`,
		`imports wasi_snapshot_preview1.fd_wirte, which the host does not have (did you mean fd_write?)`,
		`imports the memory env.memory: a guest brings its own memory and exports it as "memory"`,
		`imports cap_a.use, which policy.toml does not declare: its line must be capabilities = ["cap_b", "cap_a"]`,
		`imports cap_a.use, which is not granted: add grants = ["other", "cap_a", "cap_b"] to [policy."my policy"]`,
		`imports cap_b.use, which is not granted: add grants = ["other", "cap_a", "cap_b"] to [policy."my policy"]`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestExportsAreChecked(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), importsModule, testABI(startWell, nil))
	err := p.CheckExports([]Export{{Name: "nothing"}, {Name: "missing", Results: []api.ValueType{I64}}}, 1<<20)
	want := strings.Join([]string{
		`exports nothing as (i32), but it must be ()`,
		`does not export the function missing() -> i64`,
		`does not export its memory as "memory"`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestMemoryToBeginWith(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), largeModule, testABI(startWell, nil))
	if err := p.CheckExports(nil, 2<<20); err != nil {
		t.Errorf("2 MiB are enough: %v", err)
	}
	if err := p.CheckExports(nil, 2<<20-1); err == nil {
		t.Error("less than 2 MiB is not enough")
	}
}

func TestGrantedImports(t *testing.T) {
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	if err := p.CheckImports(Permission{Policy: "p"}); err != nil {
		t.Errorf("what every guest may import was refused: %v", err)
	}
	if !p.HasImport("test", "block") || p.HasImport("test", "trap") {
		t.Error("HasImport is wrong")
	}
}

func TestModuleIsSharedWhileItIsUsed(t *testing.T) {
	e := openEngine(t, Options{})
	abi := testABI(startWell, nil)
	first := compile(t, e, guestModule, abi)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				p, err := e.Compile(context.Background(), source(guestModule, abi))
				if err != nil {
					t.Error(err)
					return
				}
				if p != first {
					t.Error("the module was compiled again")
				}
				_ = p.Close(context.Background())
			}
		})
	}
	wg.Wait()
}

// Compiling, starting and closing one module from many sides at once.
func TestHammerPrograms(t *testing.T) {
	e := openEngine(t, Options{CacheDir: filepath.Join(t.TempDir(), "cache")})
	modules := [][]byte{guestModule, largeModule}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for range 20 {
				p, err := e.Compile(context.Background(), source(modules[worker%2], testABI(startWell, nil)))
				if err != nil {
					t.Error(err)
					return
				}
				config := configFor(ample)
				config.MemoryBytes = 4 << 20
				i, err := p.Start(context.Background(), config)
				if err != nil {
					t.Error(err)
					return
				}
				_ = p.Close(context.Background()) // the instance keeps it alive
				if _, err := invoke(i, "nothing"); err != nil {
					t.Error(err)
				}
				_ = i.Close(context.Background())
			}
		})
	}
	wg.Wait()
}

func TestEngineInUseDoesNotClose(t *testing.T) {
	e, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(t.Context(), source(guestModule, testABI(startWell, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(t.Context()); err == nil {
		t.Error("the engine closed under a program")
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := p.Start(t.Context(), configFor(ample)); err == nil {
		t.Error("a closed program starts instances")
	}
}

func TestFailedCompileIsNotKept(t *testing.T) {
	e := openEngine(t, Options{})
	bad := source([]byte("\x00asm\x01\x00\x00\x00junk"), testABI(startWell, nil))
	for range 2 {
		if _, err := e.Compile(t.Context(), bad); err == nil {
			t.Error("junk compiled")
		}
	}
}

func TestCacheIsKeptBetweenRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	useCache := func() {
		e := openEngine(t, Options{CacheDir: dir})
		start(t, compile(t, e, guestModule, testABI(startWell, nil)), configFor(ample))
	}
	useCache()
	written := cacheFiles(t, dir)
	if len(written) == 0 {
		t.Fatal("nothing was kept")
	}
	useCache()
	if got := cacheFiles(t, dir); len(got) != len(written) {
		t.Errorf("%d files after the second run, %d after the first", len(got), len(written))
	}
}

func cacheFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDamagedCacheIsNotFatal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	abi := testABI(startWell, nil)
	compile(t, openEngine(t, Options{CacheDir: dir}), guestModule, abi)
	for _, f := range cacheFiles(t, dir) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, b[:len(b)/2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	e := openEngine(t, Options{CacheDir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	i := start(t, compile(t, e, guestModule, abi), configFor(ample))
	if _, err := invoke(i, "nothing"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "cache is damaged") {
		t.Errorf("the log says nothing of it: %s", log.String())
	}
}
