package property

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestSet(t *testing.T) {
	s := whole(t)
	for at, value := range map[string]string{"user": "7", "a.b.c": "\xff\x00", "metadata.filter_metadata.x.y": "z", "empty": ""} {
		if err := Set(path(at)+"\x00", value, s); err != nil {
			t.Fatal(err)
		}
		later := &Source{Plugin: new(Plugin), Exchange: s.Exchange}
		for _, p := range []string{path(at), path(at) + "\x00", "filter_state\x00wasm." + path(at)} {
			if got, ok := Get(nil, p, later); !ok || string(got) != value {
				t.Errorf("%q: got %q, %v, want %q", p, got, ok, value)
			}
		}
	}
	if err := SetState("envoy.string", "v", s); err != nil {
		t.Fatal(err)
	}
	if got, ok := Get(nil, "filter_state\x00envoy.string", s); !ok || string(got) != "v" {
		t.Errorf("got %q, %v, want \"v\"", got, ok)
	}
}

func TestWhatTheHostSaysStays(t *testing.T) {
	s := whole(t)
	for _, at := range []string{"plugin_root_id", "request.path", "request.nothing", "source.address"} {
		before, known := Get(nil, path(at), s)
		if err := Set(path(at), "forged", s); err != nil {
			t.Fatal(err)
		}
		if got, ok := Get(nil, path(at), s); ok != known || string(got) != string(before) {
			t.Errorf("%s became %q", at, got)
		}
	}
}

func TestSetWithoutExchange(t *testing.T) {
	s := &Source{Plugin: new(Plugin)}
	if err := Set("a", "b", s); !errors.Is(err, ErrNoExchange) {
		t.Errorf("got %v, want %v", err, ErrNoExchange)
	}
	if err := Set("wasm_need_rebuild", "true", s); err != nil || !s.Asked.Rebuild {
		t.Errorf("got %v, asked %+v", err, s.Asked)
	}
}

func TestSetAsks(t *testing.T) {
	s := whole(t)
	for at, value := range map[string]string{
		"wasm_need_rebuild": "true", "set_decoder_buffer_limit": "1048576", "set_encoder_buffer_limit": "4294967295", "clear_route_cache": "off",
	} {
		if err := Set(at, value, s); err != nil {
			t.Errorf("%s: %v", at, err)
		}
	}
	if want := (Asked{true, 1 << 20, 1<<32 - 1}); s.Asked != want || len(s.Exchange.Properties) != 0 {
		t.Errorf("got %+v and %v, want %+v alone", s.Asked, s.Exchange.Properties, want)
	}
	for _, value := range []string{"", "-1", "1e3", "4294967296", "many"} {
		if err := Set("set_decoder_buffer_limit", value, s); !errors.Is(err, ErrValue) {
			t.Errorf("%q: got %v, want %v", value, err, ErrValue)
		}
	}
}

func TestDeclare(t *testing.T) {
	s := whole(t)
	d := Declaration{ReadOnly: true, Text: true}
	for range 2 { // as two instances do
		if err := s.Plugin.Declare("peer", d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Plugin.Declare("peer", Declaration{}); !errors.Is(err, ErrDeclared) {
		t.Errorf("got %v, want %v", err, ErrDeclared)
	}
	if err := Set("peer", "one", s); err != nil {
		t.Fatal(err)
	}
	if err := Set("peer", "two", s); !errors.Is(err, exchange.ErrPropertyReadOnly) {
		t.Errorf("got %v, want %v", err, exchange.ErrPropertyReadOnly)
	}
	if v, ok := Find("peer", s); !ok || v.Kind() != Text || v.String() != "one" {
		t.Errorf("got %+v, %v", v, ok)
	}
	for i := range maxDeclared - 1 {
		if err := s.Plugin.Declare(strconv.Itoa(i), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Plugin.Declare("one more", d); !errors.Is(err, ErrDeclared) {
		t.Errorf("got %v, want %v", err, ErrDeclared)
	}
	if err := new(Plugin).Declare(strings.Repeat("p", maxPath+1), d); !errors.Is(err, ErrDeclared) {
		t.Errorf("got %v of a long path, want %v", err, ErrDeclared)
	}
}

func TestHammerPlugin(t *testing.T) {
	p := new(Plugin)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				name := strconv.Itoa(j % 16)
				if err := p.Declare(name, Declaration{Text: true}); err != nil {
					t.Error(err)
				}
				s := &Source{Plugin: p, Exchange: new(exchange.Exchange)}
				if err := Set(name, "v", s); err != nil {
					t.Error(err)
				}
				if v, _ := Find(name, s); v.Kind() != Text {
					t.Errorf("goroutine %d: %s is not as it was declared", i, name)
				}
			}
		})
	}
	all.Wait()
}
