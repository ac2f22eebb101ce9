package engine

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

func linked() *exchange.Exchange {
	return &exchange.Exchange{
		ID: "r1", ClientIP: netip.MustParseAddr("203.0.113.9"), ClientScheme: "http",
		Conn: &exchange.Conn{
			ID: 7, Listener: "public", Remote: netip.MustParseAddrPort("203.0.113.9:4000"), Local: netip.MustParseAddrPort("[2001:db8::1]:443"),
			TLS: &exchange.TLS{Version: 0x304, CipherSuite: 0x1301, ServerName: "example.com", Protocol: "h2"},
		},
		Request:  exchange.Request{Method: "GET", Scheme: "https", Authority: "inner.example.com", Version: exchange.HTTP2},
		Received: exchange.RequestLine{Method: "POST", Authority: "example.com", Target: "/as/sent"},
		Route:    exchange.Route{Upstream: "origin", Fallbacks: [exchange.MaxFallbacks]string{"spare", "last"}, HashKey: "k", Timeout: 1500 * time.Millisecond, Retries: 0, RetriesSet: true},
		Properties: []exchange.Property{
			{Name: "wasm.peer", Value: "\xff\x00", ReadOnly: true}, {Name: "user", Value: "7", Text: true},
		},
		Identity: exchange.Identity{Subject: "alice", Method: "api-key", Attributes: []exchange.Attribute{{Name: "group", Value: "größe"}, {Name: "none"}}},
	}
}

func TestLinkCarriesWhatPoliciesSee(t *testing.T) {
	x := linked()
	value, err := encodeLink(x)
	if err != nil {
		t.Fatal(err)
	}
	// On the way the endpoint's own name may stand in for the authority.
	got := &exchange.Exchange{Conn: &exchange.Conn{ID: 7}, Request: exchange.Request{Method: "GET", Scheme: "https", Authority: "service-1", Version: exchange.HTTP2}}
	got.Request.Header.Add(linkField, value)
	if err := readLink(got); err != nil {
		t.Fatal(err)
	}
	if got.Request.Header.Len() != 0 {
		t.Errorf("the field stays in the request: %v", got.Request.Header.Fields())
	}
	got.Request.Header, x.Request.Header = exchange.Header{}, exchange.Header{}
	got.Arena, x.Arena = exchange.Arena{}, exchange.Arena{}
	if !reflect.DeepEqual(got, x) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", got, got.Conn, x, x.Conn)
	}
}

func withLink(value string) *exchange.Exchange {
	x := &exchange.Exchange{Conn: &exchange.Conn{}}
	x.Request.Header.Add(linkField, value)
	return x
}

func TestLinkRefusesWhatItCannotRead(t *testing.T) {
	value := func(l string) string { return base64.RawStdEncoding.EncodeToString([]byte(l)) }
	const whole = `"id":"r1","client_ip":"192.0.2.1","remote":"192.0.2.1:1","local":"192.0.2.2:2","scheme":"http","client_scheme":"https","version":11`
	if err := readLink(withLink(value("{" + whole + "}"))); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{
		"", "*", "e30x", "bm90IGpzb24", value("{}"), value("null"), value("{" + whole), value("{" + whole + "} {}"),
		value(strings.Replace("{"+whole+"}", "r1", "", 1)),
		value(strings.Replace("{"+whole+"}", `"192.0.2.1"`, `""`, 1)),
		value(strings.Replace("{"+whole+"}", "192.0.2.1:1", "", 1)),
		value(strings.Replace("{"+whole+"}", `"http"`, `"gopher"`, 1)),
		value(strings.Replace("{"+whole+"}", `"https"`, `""`, 1)),
		value(strings.Replace("{"+whole+"}", "11", "99", 1)),
		value("{" + whole + `,"tls":{"certificates":["AAAA"]}}`),
		value("{" + whole + `,"properties":[{"value":"` + strings.Repeat("AAAA", exchange.MaxPropertyBytes/3+1) + `"}]}`),
		value("{" + whole + `,"identity":{"subject":"","method":"api-key"}}`),
		value("{" + whole + `,"identity":{"subject":"alice"}}`),
		value("{" + whole + `,"identity":{"subject":"alice","method":"no such name"}}`),
		value("{" + whole + `,"identity":{"subject":"alice","method":"api-key","attributes":[["","a"]]}}`),
		value("{" + whole + `,"identity":{"subject":"alice","method":"api-key","attributes":[["a","` + strings.Repeat("a", exchange.MaxAttributeValueBytes+1) + `"]]}}`),
	} {
		if err := readLink(withLink(value)); err == nil {
			t.Errorf("%q was accepted", value)
		}
	}
	twice := withLink(value("{" + whole + "}"))
	twice.Request.Header.Add(linkField, value("{"+whole+"}"))
	if err := readLink(twice); err == nil {
		t.Error("two fields were accepted")
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

func TestLinkReplyKeepsTheTimeToComeBack(t *testing.T) {
	for sent, want := range map[time.Duration]time.Duration{0: 0, time.Millisecond: time.Second, 1500 * time.Millisecond: 2 * time.Second, 100 * 24 * time.Hour: maxRetryAfter} {
		x := &exchange.Exchange{}
		x.Fail(&exchange.Failure{Cause: exchange.CauseOverload, Status: 503, RetryAfter: sent})
		writeLinkReply(x)
		if f := readLinkReply(x); f == nil || f.RetryAfter != want {
			t.Errorf("%v became %+v, want %v", sent, f, want)
		}
	}
}

func TestEveryCauseTravels(t *testing.T) {
	for _, cause := range causes {
		x := &exchange.Exchange{}
		x.Fail(&exchange.Failure{Cause: cause, Status: 502})
		writeLinkReply(x)
		if f := readLinkReply(x); f == nil || f.Cause != cause {
			t.Errorf("%s became %+v", cause, f)
		}
	}
}

// What a service host says is believed no further than its form: a cause goes
// into metrics and logs.
func TestLinkReplyThatMakesNoSense(t *testing.T) {
	for _, value := range []string{
		"", "overload", "overload 503", "overload 503 2 3", "strange 503 1", "overload 200 1", "overload 600 1",
		"overload 503 -1", "overload 503 1e3", "overload 503 99999999999999999999", "overload  503 1", "OVERLOAD 503 1",
	} {
		x := &exchange.Exchange{}
		x.Response.Header.Add(linkFailureField, value)
		if f := readLinkReply(x); f == nil || f.Cause != exchange.CauseProtocol || f.Status != 502 {
			t.Errorf("%q became %+v, want a protocol failure", value, f)
		}
	}
	for _, name := range []string{"a b", "x\"y", strings.Repeat("a", 65)} {
		x := &exchange.Exchange{}
		x.Response.Header.Add(linkAnsweredField, name)
		if f := readLinkReply(x); f != nil || x.AnsweredBy != "" || x.Response.Header.Len() != 0 {
			t.Errorf("%q became %q, %v", name, x.AnsweredBy, f)
		}
	}
}

func TestClientsCannotSpeakAsHosts(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("a")}, nil))
	seen := make(chan http.Header, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		w.Header().Set(linkFailureField, "overload 503 1") // an origin that tries it
	}))
	defer origin.Close()
	b.origin = origin.URL
	b.swap(b.manifest([]string{mark("a")}, nil))
	a := b.get(func(x *exchange.Exchange) {
		for _, name := range linkFields {
			x.Request.Header.Add(strings.ToUpper(name.Name()), "x")
		}
	})
	for name := range <-seen {
		if strings.HasPrefix(strings.ToLower(name), linkField) {
			t.Errorf("the origin was sent %s", name)
		}
	}
	if a.status != 200 || a.x.Failure != nil {
		t.Errorf("an origin's field became status %d, failure %v", a.status, a.x.Failure)
	}
	for _, f := range a.header.Fields() {
		if strings.HasPrefix(f.Name, linkField) {
			t.Errorf("the client was sent %s", f.Name)
		}
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
		if i := x.Identity; (i.Subject == "") != (i.Method == "") || len(i.Subject) > exchange.MaxSubjectBytes || len(i.Attributes) > exchange.MaxAttributes {
			t.Errorf("an unsound identity: %+v", i)
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
