package engine

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

func linked() *exchange.Exchange {
	return &exchange.Exchange{
		ID: "r1", ClientIP: netip.MustParseAddr("203.0.113.9"),
		Conn: &exchange.Conn{
			ID: 7, Listener: "public", Remote: netip.MustParseAddrPort("203.0.113.9:4000"), Local: netip.MustParseAddrPort("[2001:db8::1]:443"),
			TLS: &exchange.TLS{Version: 0x304, CipherSuite: 0x1301, ServerName: "example.com", Protocol: "h2"},
		},
		Request: exchange.Request{Method: "GET", Scheme: "https", Version: exchange.HTTP2},
		Route:   exchange.Route{Upstream: "origin", HashKey: "k", Timeout: 1500 * time.Millisecond, Retries: 0, RetriesSet: true},
	}
}

func TestLinkCarriesWhatPoliciesSee(t *testing.T) {
	x := linked()
	value, err := encodeLink(x)
	if err != nil {
		t.Fatal(err)
	}
	got := &exchange.Exchange{Conn: &exchange.Conn{ID: 7}, Request: exchange.Request{Method: "GET", Scheme: "https", Version: exchange.HTTP2}}
	got.Request.Header.Add(linkField, value)
	if err := readLink(got); err != nil {
		t.Fatal(err)
	}
	if got.Request.Header.Len() != 0 {
		t.Errorf("the field stays in the request: %v", got.Request.Header.Fields())
	}
	got.Request.Header, x.Request.Header = exchange.Header{}, exchange.Header{}
	if !reflect.DeepEqual(got, x) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", got, got.Conn, x, x.Conn)
	}
}

func TestLinkRefusesWhatItCannotRead(t *testing.T) {
	for _, value := range []string{"", "*", "e30x", "bm90IGpzb24"} {
		x := &exchange.Exchange{Conn: &exchange.Conn{}}
		x.Request.Header.Add(linkField, value)
		if err := readLink(x); err == nil {
			t.Errorf("%q was accepted", value)
		}
	}
	if err := readLink(&exchange.Exchange{Conn: &exchange.Conn{}}); err == nil {
		t.Error("a request without the field was accepted")
	}
}

func TestLinkReplyCarriesFailures(t *testing.T) {
	sent := &exchange.Exchange{AnsweredBy: "guard"}
	sent.Fail(&exchange.Failure{Cause: exchange.CauseOverload, Status: 503, RetryAfter: 2 * time.Second})
	sent.AnsweredBy = "guard"
	writeLinkReply(sent)
	got := &exchange.Exchange{}
	got.Response.Header.CopyFrom(&sent.Response.Header)
	f := readLinkReply(got)
	if f == nil || f.Cause != exchange.CauseOverload || f.Status != 503 || f.RetryAfter != 2*time.Second || f.Tier != "service" {
		t.Errorf("got %+v", f)
	}
	if got.AnsweredBy != "guard" {
		t.Errorf("answered by %q", got.AnsweredBy)
	}
	for _, field := range got.Response.Header.Fields() {
		if strings.HasPrefix(field.Name, linkField) {
			t.Errorf("%s stays in the response", field.Name)
		}
	}
}

func TestLinkReplyOfAnOrdinaryResponseIsNoFailure(t *testing.T) {
	x := &exchange.Exchange{}
	writeLinkReply(x)
	if f := readLinkReply(x); f != nil || x.AnsweredBy != "" {
		t.Errorf("got %v, %q", f, x.AnsweredBy)
	}
}

func TestTierDown(t *testing.T) {
	refused := &exchange.Failure{Cause: exchange.CauseRefused, Status: 502}
	f := tierDown(refused, 5*time.Second)
	if f.Cause != exchange.CauseTierDown || f.Status != 503 || f.RetryAfter != 5*time.Second || !errors.Is(f, refused) {
		t.Errorf("got %+v", f)
	}
	reset := &exchange.Failure{Cause: exchange.CauseReset, Status: 502}
	if f := tierDown(reset, 5*time.Second); f != reset {
		t.Errorf("a reset inside a host became %+v", f)
	}
}

func FuzzReadLink(f *testing.F) {
	value, err := encodeLink(linked())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{value, value[:40], "", "e30", "bnVsbA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		x := &exchange.Exchange{Conn: &exchange.Conn{ID: 1}}
		x.Request.Header.Add(linkField, value)
		if err := readLink(x); err == nil && x.Conn == nil {
			t.Error("accepted without a connection")
		}
		if x.Request.Header.Has(linkField) {
			t.Error("the field stays in the request")
		}
	})
}

func FuzzReadLinkReply(f *testing.F) {
	for _, seed := range []string{"overload 503 2", "x", "overload 99999999999999999999 1", "a 200 0", " 503 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		x := &exchange.Exchange{}
		x.Response.Header.Add(linkFailureField, value)
		if got := readLinkReply(x); got == nil || got.Status < 400 || got.Status > 599 {
			t.Errorf("%q became %+v", value, got)
		}
	})
}
