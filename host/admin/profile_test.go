package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
)

// gzipMagic begins every profile.
const gzipMagic = "\x1f\x8b"

func TestProfiles(t *testing.T) {
	s := serve(t, Options{Address: unixAddress(t)})
	for _, name := range []string{"heap", "allocs", "goroutine", "profile?seconds=1"} {
		resp, text := send(t, s, "GET", "/debug/pprof/"+name, "")
		if resp.StatusCode != 200 || !strings.HasPrefix(text, gzipMagic) || resp.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s: got status %d, %s, %d bytes", name, resp.StatusCode, resp.Header.Get("Content-Type"), len(text))
		}
	}
	for _, seconds := range []string{"0", "61", "-1", "1.5", "a"} {
		if resp, _ := send(t, s, "GET", "/debug/pprof/profile?seconds="+seconds, ""); resp.StatusCode != 400 {
			t.Errorf("%s seconds: got status %d, want 400", seconds, resp.StatusCode)
		}
	}
}

func TestProfilesNeedTheToken(t *testing.T) {
	s := serve(t, Options{Address: "127.0.0.1:0", Token: manifest.NewSecret("t")})
	for _, r := range s.profileRoutes() {
		if resp, _ := send(t, s, r.method, r.path, ""); resp.StatusCode != 401 {
			t.Errorf("%s: got status %d, want 401", r.path, resp.StatusCode)
		}
	}
}

// TestOneProfileAtATime also ends one when its client leaves.
func TestOneProfileAtATime(t *testing.T) {
	s := serve(t, Options{Address: unixAddress(t)})
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	resp, text := send(t, s, "GET", "/debug/pprof/profile?seconds=1", "")
	pprof.StopCPUProfile()
	if resp.StatusCode != http.StatusConflict || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the second: got status %d and %q", resp.StatusCode, text)
	}

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	c, gone := connect(t, s), make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "GET", c.base+"/debug/pprof/profile?seconds=60", nil)
		if err == nil {
			var resp *http.Response
			if resp, err = c.http.Do(req); err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
		gone <- err
	}()
	var stacks strings.Builder
	hosttest.Eventually(t, func() bool {
		stacks.Reset()
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		return strings.Contains(stacks.String(), "cpuProfile")
	}, "a profile begins")
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the client that left got %v", err)
	}
	hosttest.Eventually(t, func() bool {
		err := pprof.StartCPUProfile(io.Discard)
		pprof.StopCPUProfile()
		return err == nil
	}, "the profile has ended")
}
