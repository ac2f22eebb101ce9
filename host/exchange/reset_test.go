package exchange

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// Whatever a field is added to, the next exchange must not see what it was.
func TestResetLeavesNothing(t *testing.T) {
	x := &Exchange{Conn: new(Conn), Failure: new(Failure), Upstreams: noUpstreams{}, ClientIP: netip.MustParseAddr("192.0.2.1")}
	x.Request.Body, x.Response.Body = io.NopCloser(strings.NewReader("")), io.NopCloser(strings.NewReader(""))
	x.Response.Tunnel = noTunnel{}
	x.SetContext(context.WithValue(x.Context(), lifeKey{}, x.Life()))
	x.Annotate("k", "v")
	if err := x.SetProperty(Property{Name: "k", Value: "v"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Identify("s", "m"), x.AddAttribute("n", "v")); err != nil {
		t.Fatal(err)
	}
	x.Endpoint = Endpoint{new(Conn), 1}
	x.Repeater = noRepeater{}
	x.OnReset(noTunnel{})
	x.Arena.Concat("a", "b")
	for _, part := range []any{x, &x.Request, &x.Response, &x.Received, &x.Route} {
		fill(t, reflect.ValueOf(part).Elem())
	}
	for _, h := range []*Header{&x.Request.Header, &x.Request.Trailer, &x.Response.Header, &x.Response.Trailer} {
		h.Add("a", "b")
	}
	x.Reset()
	kept := map[string]bool{"Conn": true, "Sink": true, "Arena": true, "Header": true, "Trailer": true, "Notes": true, "Properties": true, "Identity": true, "Attributes": true,
		"Request": true, "Response": true, "atReset": true, "life": true}
	for _, part := range []any{x, &x.Request, &x.Response, &x.Identity} {
		v := reflect.ValueOf(part).Elem()
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; !kept[name] && !v.Field(i).IsZero() {
				t.Errorf("%s of %s is still %v", name, v.Type(), v.Field(i))
			}
		}
	}
	for _, h := range []*Header{&x.Request.Header, &x.Request.Trailer, &x.Response.Header, &x.Response.Trailer} {
		if h.Len() != 0 || h.Has("a") {
			t.Errorf("a header still has %v", h.Fields())
		}
	}
	if x.Conn == nil || len(x.Notes) != 0 || len(x.Properties) != 0 || len(x.Identity.Attributes) != 0 || len(x.atReset) != 0 || len(x.Arena.free) != 0 || x.life == nil {
		t.Errorf("got %+v", x)
	}
}

// fill gives plain fields a value, and fails where one was not given by hand.
func fill(t *testing.T, v reflect.Value) {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if !f.CanSet() {
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int64:
			f.SetInt(1)
		case reflect.Uint8, reflect.Uint64:
			f.SetUint(1)
		case reflect.Interface, reflect.Pointer:
			if f.IsNil() && name != "Sink" {
				t.Errorf("%s of %s has no value in this test", name, v.Type())
			}
		}
	}
}

type noUpstreams struct{}

func (noUpstreams) HasUpstream(string) bool { return false }

type noRepeater struct{}

func (noRepeater) Repeat(func()) bool { return false }

type noTunnel struct{ io.ReadWriteCloser }

func (noTunnel) Release() {}

func BenchmarkReset(b *testing.B) {
	x := new(Exchange)
	for b.Loop() {
		for range 6 {
			x.Request.Header.AddKnown(Accept, "accept", "text/plain")
			x.Response.Header.AddKnown(Accept, "accept", "text/plain")
		}
		x.Life()
		x.Reset()
	}
}
