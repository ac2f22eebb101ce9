package proxywasm

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

func TestLogging(t *testing.T) {
	var lines bytes.Buffer
	p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
		for level, want := range []status{0, 0, 0, 0, 0, 0, statusBadArgument} {
			if got := g.call("proxy_log", level, "hello"); got != want {
				t.Errorf("level %d: got %d", level, got)
			}
		}
		if got := g.call("proxy_log", 2, -8, 100); got != statusInvalidMemory {
			t.Errorf("outside of memory: got %d", got)
		}
		if st := g.call("proxy_get_log_level", out(0)); st != statusOK || g.number(0) != 2 {
			t.Errorf("level %d, status %d", g.number(0), st)
		}
		return 0
	}), func(s *policy.Spec) {
		s.Log = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelInfo}))
	})
	carry(p, newExchange("GET", "/"))
	for level, want := range map[string]int{"DEBUG": 0, "level=INFO": 1, "level=WARN": 1, "level=ERROR ": 1, "level=ERROR+4": 1, "request_id=id-1": 4} {
		if got := strings.Count(lines.String(), level); got != want {
			t.Errorf("%s: %d lines, want %d:\n%s", level, got, want, lines.String())
		}
	}
}

func TestClock(t *testing.T) {
	before := time.Now().UnixNano()
	inRequest(t, newExchange("GET", "/"), func(g *guest) {
		if st := g.call("proxy_get_current_time_nanoseconds", out(0)); st != statusOK {
			t.Errorf("status %d", st)
		}
		now, _ := g.mod.Memory().ReadUint64Le(uint32(out(0)))
		if int64(now) < before || int64(now) > time.Now().UnixNano() {
			t.Errorf("got %d", now)
		}
		if st := g.call("proxy_get_current_time_nanoseconds", -4); st != statusInvalidMemory {
			t.Errorf("outside of memory: status %d", st)
		}
	})
}

// Whatever pointer is bad, in whatever parameter, is told and harms nothing.
func TestBadPointers(t *testing.T) {
	inRequest(t, newExchange("GET", "/", exchange.Field{Name: "a", Value: "b"}), func(g *guest) {
		for _, test := range []struct {
			function string
			args     []any
		}{
			{"proxy_get_header_map_value", []any{0, -1, 1, out(0), out(1)}},
			{"proxy_get_header_map_value", []any{0, 4, -1, out(0), out(1)}},
			{"proxy_get_header_map_value", []any{0, "a", -2, out(1)}},
			{"proxy_get_header_map_value", []any{0, "a", out(0), -2}},
			{"proxy_get_header_map_pairs", []any{0, -2, out(1)}},
			{"proxy_set_header_map_pairs", []any{0, -2, 100}},
			{"proxy_add_header_map_value", []any{0, -1, 1, "b"}},
			{"proxy_replace_header_map_value", []any{0, "a", -1, 100}},
			{"proxy_remove_header_map_value", []any{0, -1, 100}},
			{"proxy_get_header_map_size", []any{0, -2}},
			{"proxy_get_buffer_bytes", []any{bufferPluginConfig, 0, 10, -2, out(0)}},
			{"proxy_set_buffer_bytes", []any{0, 0, 0, -2, 100}},
			{"proxy_send_local_response", []any{200, -1, 8, "", "", -1}},
			{"proxy_send_local_response", []any{200, "", "", -1, 8, -1}},
			{"proxy_get_status", []any{-2, out(0), out(1)}},
			{"proxy_get_shared_data", []any{-1, 100, out(0), out(1), out(2)}},
			{"proxy_set_shared_data", []any{"a", -1, 100, 0}},
			{"proxy_register_shared_queue", []any{"q", -2}},
			{"proxy_resolve_shared_queue", []any{-1, 9, "q", out(0)}},
			{"proxy_enqueue_shared_queue", []any{1, -1, 100}},
			{"proxy_define_metric", []any{0, -1, 100, out(0)}},
			{"proxy_define_metric", []any{0, "m", -2}},
		} {
			if st := g.call(test.function, test.args...); st != statusInvalidMemory {
				t.Errorf("%s%v: status %d", test.function, test.args, st)
			}
		}
	})
}

// The root context is no stream, and a stream that has ended is not in the way of a
// guest that comes back to it.
func TestEffectiveContext(t *testing.T) {
	var past uint32
	p := load(t, script{
		"request_headers": func(g *guest, args []uint32) uint32 {
			if past == 0 {
				past = args[0]
				return 0
			}
			for _, test := range []struct {
				context uint32
				want    status
			}{{rootID, statusBadArgument}, {past, statusOK}, {1 << 31, statusOK}} {
				if st := g.call("proxy_set_effective_context", test.context); st != statusOK {
					t.Errorf("context %d: status %d", test.context, st)
				}
				for name, st := range map[string]status{
					"add":      g.call("proxy_add_header_map_value", mapRequestHeaders, "a", "b"),
					"continue": g.call("proxy_continue_stream", request),
					"close":    g.call("proxy_close_stream", request),
					"respond":  g.respond(403, "no"),
				} {
					if st != test.want {
						t.Errorf("context %d: %s: status %d, want %d", test.context, name, st, test.want)
					}
				}
				if _, st := g.header(mapRequestHeaders, ":path"); st != statusBadArgument {
					t.Errorf("context %d: read: status %d", test.context, st)
				}
			}
			g.call("proxy_set_effective_context", args[0])
			if path, st := g.header(mapRequestHeaders, ":path"); path != "/2" {
				t.Errorf("back: %q, status %d", path, st)
			}
			return 0
		},
	})
	carry(p, newExchange("GET", "/1"), "a")
	x := newExchange("GET", "/2")
	if c := carry(p, x, "a"); c.received != "a" || x.Request.Header.Len() != 0 {
		t.Errorf("got %+v, %s", c, joined(&x.Request.Header))
	}
}

// A context that is not done at once is deleted when the guest says that it is.
func TestDoneLater(t *testing.T) {
	var deleted []uint32
	p := load(t, script{
		"done":   func(_ *guest, args []uint32) uint32 { return args[0] & 1 }, // odd ones are, the root's too
		"delete": func(_ *guest, args []uint32) uint32 { deleted = append(deleted, args[0]); return 0 },
		"request_headers": func(g *guest, args []uint32) uint32 {
			if args[0] != 4 {
				return 0
			}
			for context, want := range map[uint32]status{2: statusOK, 3: statusNotFound, 99: statusNotFound} {
				g.call("proxy_set_effective_context", context)
				if st := g.call("proxy_done"); st != want {
					t.Errorf("context %d: status %d, want %d", context, st, want)
				}
			}
			return 0
		},
	})
	for range 2 {
		carry(p, newExchange("GET", "/"))
	}
	if len(deleted) != 1 || deleted[0] != 3 {
		t.Errorf("deleted %v, want the third", deleted)
	}
	x := newExchange("GET", "/")
	i, _ := p.Acquire(x)
	p.OnRequestHead(i, x)
	if len(deleted) != 2 || deleted[1] != 2 {
		t.Errorf("deleted %v, want the second as well", deleted)
	}
	p.Release(i)
}

func TestConfigurationThatIsNoText(t *testing.T) {
	for _, config := range []string{
		`{"@type":"google.protobuf.StringValue","value":7}`, `{"@type":"google.protobuf.BytesValue","value":"?"}`,
		`{"@type":"google.protobuf.StringValue"}`, `{"@type":"envoy.config.Bootstrap","value":{}}`,
	} {
		if _, err := tryLoad(t, script{}, func(s *policy.Spec) { s.Config = []byte(config) }); err == nil {
			t.Errorf("%s is taken", config)
		} else {
			wantKind(t, err, policy.Config)
		}
	}
}

func TestRefusedConfiguration(t *testing.T) {
	for callback, want := range map[string]error{"vm_start": errVMStart, "configure": errConfigure} {
		_, err := tryLoad(t, in(callback, func(g *guest, _ []uint32) uint32 {
			g.call("proxy_log", 4, "the key is missing")
			return 0
		}))
		wantKind(t, err, policy.Config)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "the key is missing") {
			t.Errorf("%s: got %v", callback, err)
		}
	}
	for _, answer := range []uint32{trap, spin} {
		_, err := tryLoad(t, in("configure", func(*guest, []uint32) uint32 { return answer }), func(s *policy.Spec) {
			s.Settings.Limits.Time = manifest.Duration(20 * time.Millisecond)
		})
		wantKind(t, err, policy.Config)
	}
}

func TestRefusedNeeds(t *testing.T) {
	for want, change := range map[string]func(*policy.Spec){
		"needs.stateless": func(s *policy.Spec) { s.Artifact.File.Needs.Stateless = true },
		"needs.request_body = peek": func(s *policy.Spec) {
			s.Artifact.File.Needs.RequestBody = manifest.BodyNeed{Mode: manifest.BodyPeek, Max: 1}
		},
		"limits.response_body is": func(s *policy.Spec) {
			s.Artifact.File.Needs.ResponseBody = manifest.BodyNeed{Mode: manifest.BodyBuffer, Max: 1 << 30}
		},
		"is not granted": func(s *policy.Spec) { s.Settings.Grants = nil },
	} {
		_, err := tryLoad(t, script{}, change)
		wantKind(t, err, policy.Load)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a word of %q", err, want)
		}
	}
}

func TestSharedData(t *testing.T) {
	inRequest(t, newExchange("GET", "/"), func(g *guest) {
		if st := g.call("proxy_get_shared_data", "k", out(0), out(1), out(2)); st != statusNotFound {
			t.Errorf("nothing there: %d", st)
		}
		g.call("proxy_set_shared_data", "k", "v1", 0)
		if st := g.call("proxy_get_shared_data", "k", out(0), out(1), out(2)); st != statusOK || g.result(0) != "v1" {
			t.Errorf("status %d", st)
		}
		cas := g.number(2)
		for _, step := range []struct {
			cas  uint32
			want status
		}{{cas + 1, statusCASMismatch}, {cas, statusOK}, {cas, statusCASMismatch}, {0, statusOK}} {
			if st := g.call("proxy_set_shared_data", "k", "v2", step.cas); st != step.want {
				t.Errorf("cas %d: got %d, want %d", step.cas, st, step.want)
			}
		}
		if st := g.call("proxy_set_shared_data", "new", "v", 77); st != statusOK { // a cas says nothing where nothing is
			t.Errorf("cas of a missing key: %d", st)
		}
		if st := g.call("proxy_set_shared_data", strings.Repeat("k", maxKeyBytes+1), "v", 0); st != statusBadArgument {
			t.Errorf("long key: %d", st)
		}
		if st := g.call("proxy_set_shared_data", "empty", "", 0); st != statusOK {
			t.Errorf("empty value: %d", st)
		}
		if st := g.call("proxy_get_shared_data", "empty", out(0), out(1), out(2)); st != statusOK || g.number(0) != 0 {
			t.Errorf("empty value: %d", st)
		}
	})
}

func TestQueues(t *testing.T) {
	ready := make(chan uint32, 8)
	p := load(t, script{
		"configure": func(g *guest, _ []uint32) uint32 {
			if st := g.call("proxy_register_shared_queue", "q", out(0)); st != statusOK {
				t.Errorf("register: %d", st)
			}
			return 1
		},
		"queue_ready": func(g *guest, args []uint32) uint32 {
			if st := g.call("proxy_dequeue_shared_queue", args[1], out(0), out(1)); st != statusOK || g.result(0) != "item" {
				t.Errorf("dequeue: %d", st)
			}
			if st := g.call("proxy_dequeue_shared_queue", args[1], out(0), out(1)); st != statusEmpty {
				t.Errorf("dequeue of nothing: %d", st)
			}
			ready <- args[0]
			return 0
		},
		"request_headers": func(g *guest, _ []uint32) uint32 {
			for _, test := range []struct {
				owner, name string
				want        status
			}{{"", "q", statusOK}, {"puppet", "q", statusOK}, {"another", "q", statusNotFound}, {"", "none", statusNotFound}} {
				if st := g.call("proxy_resolve_shared_queue", test.owner, test.name, out(0)); st != test.want {
					t.Errorf("resolve %q %q: %d", test.owner, test.name, st)
				}
			}
			g.call("proxy_resolve_shared_queue", "", "q", out(0))
			if st := g.call("proxy_enqueue_shared_queue", g.number(0), "item"); st != statusOK {
				t.Errorf("enqueue: %d", st)
			}
			if st := g.call("proxy_enqueue_shared_queue", 999, "item"); st != statusNotFound {
				t.Errorf("enqueue nowhere: %d", st)
			}
			if st := g.call("proxy_dequeue_shared_queue", 999, out(0), out(1)); st != statusNotFound {
				t.Errorf("dequeue nowhere: %d", st)
			}
			return 0
		},
	})
	for range 3 {
		carry(p, newExchange("GET", "/"), "a")
		if root := <-ready; root != rootID {
			t.Errorf("told %d", root)
		}
	}
}

func TestMetrics(t *testing.T) {
	inRequest(t, newExchange("GET", "/"), func(g *guest) {
		define := func(kind int, name string) (uint32, status) {
			st := g.call("proxy_define_metric", kind, name, out(0))
			return g.number(0), st
		}
		counter, st := define(0, "c")
		again, _ := define(0, "c")
		if st != statusOK || counter != again {
			t.Errorf("status %d, ids %d and %d", st, counter, again)
		}
		if _, st := define(1, "c"); st != statusBadArgument {
			t.Errorf("another kind: %d", st)
		}
		if _, st := define(3, "d"); st != statusBadArgument {
			t.Errorf("no kind: %d", st)
		}
		gauge, _ := define(1, "g")
		histogram, _ := define(2, "h")
		for _, test := range []struct {
			function string
			id       uint32
			value    int64
			want     status
		}{
			{"increment", counter, 2, statusOK}, {"increment", counter, 0, statusBadArgument}, {"increment", counter, -1, statusBadArgument},
			{"record", counter, 3, statusOK}, // adds
			{"increment", gauge, -4, statusOK}, {"record", gauge, 9, statusOK}, {"increment", gauge, -2, statusOK},
			{"record", histogram, 5, statusOK}, {"increment", histogram, 1, statusBadArgument},
			{"increment", 9999, 1, statusNotFound}, {"record", 9999, 1, statusNotFound},
		} {
			if st := g.call("proxy_"+test.function+"_metric", test.id, test.value); st != test.want {
				t.Errorf("%s %d by %d: got %d, want %d", test.function, test.id, test.value, st, test.want)
			}
		}
		for id, want := range map[uint32]uint64{counter: 5, gauge: 7} {
			if st := g.call("proxy_get_metric", id, out(0)); st != statusOK {
				t.Errorf("get %d: %d", id, st)
			}
			if got, _ := g.mod.Memory().ReadUint64Le(uint32(out(0))); got != want {
				t.Errorf("metric %d: got %d, want %d", id, got, want)
			}
		}
		if st := g.call("proxy_get_metric", histogram, out(0)); st != statusBadArgument {
			t.Errorf("get a histogram: %d", st)
		}
	})
}

// What nobody has heard of can be imported, and says so when it is called.
func TestUnknownFunctions(t *testing.T) {
	inRequest(t, newExchange("GET", "/"), func(g *guest) {
		if st := g.call("proxy_unheard_of", 1, 2); st != statusUnimplemented {
			t.Errorf("status %d", st)
		}
	})
}

// While the module itself starts, it may log and nothing else.
func TestABIIsClosedAtStart(t *testing.T) {
	v := &vm{starting: true}
	for _, f := range Host().Functions {
		if f.Name == "abort" || f.Name == "proxy_log" {
			continue
		}
		i := &wasm.Instance{}
		i.Call().Guest = v
		stack := make([]uint64, 16)
		f.Call(i.Call(), nil, stack)
		if stack[0] != uint64(statusInternal) {
			t.Errorf("%s: status %d", f.Name, stack[0])
		}
	}
}
