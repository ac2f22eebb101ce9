package exchange

import (
	"fmt"
	"strings"
	"testing"
)

func TestRemoveHopByHop(t *testing.T) {
	for _, test := range []struct {
		name   string
		header *Header
		want   string
	}{
		{"nothing to remove", header("A", "1", "B", "2"), "[{A 1} {B 2}]"},
		{"those of the standard", header(
			"Connection", "close", "keep-alive", "1", "PROXY-CONNECTION", "x", "Proxy-Authenticate", "x",
			"Proxy-Authorization", "x", "Proxy-Authentication-Info", "x", "TE", "gzip", "Trailer", "x",
			"Transfer-Encoding", "chunked", "Upgrade", "h2c", "HTTP2-Settings", "x", "A", "1"), "[{A 1}]"},
		{"listed", header("X-Mine", "1", "Connection", "x-mine , ,close", "A", "1", "connection", "X-Other", "x-other", "2"), "[{A 1}]"},
		{"empty list", header("Connection", "", "A", "1"), "[{A 1}]"},
		{"never an option", header("Connection", "Host, Content-Length, Cache-Control, A", "Content-Length", "3", "Cache-Control", "no-store", "A", "1"),
			"[{Content-Length 3} {Cache-Control no-store}]"},
		{"trailers wanted", header("TE", "gzip, trailers;q=0.5", "Connection", "TE"), "[{TE trailers}]"},
		{"end-to-end look-alikes", header("Tee", "1", "Upgraded", "2", "Connection-Id", "3"), "[{Tee 1} {Upgraded 2} {Connection-Id 3}]"},
	} {
		RemoveHopByHop(test.header)
		if got := fmt.Sprint(test.header.Fields()); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestLongListOfConnectionOptions(t *testing.T) {
	h := header("X-A", "1", "x-b", "2", "X-C", "3", "x-a", "4", "Content-Length", "5",
		"Connection", "content-length, "+strings.Repeat("x, X-a, te,", 1000)+"X-B")
	RemoveHopByHop(h)
	if got, want := fmt.Sprint(h.Fields()), "[{X-C 3} {Content-Length 5}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkLongListOfConnectionOptions(b *testing.B) {
	h := header("Connection", strings.Repeat("a,", 32000))
	for i := range 120 {
		h.Add(fmt.Sprintf("x%d", i), "")
	}
	var copied Header
	for b.Loop() {
		copied.CopyFrom(h)
		RemoveHopByHop(&copied)
	}
}

func TestRemoveHopByHopDoesNotAllocate(t *testing.T) {
	h := header("Accept", "*/*", "User-Agent", "x", "Cookie", "y", "X-Forwarded-For", "z")
	if n := testing.AllocsPerRun(100, func() { RemoveHopByHop(h) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func TestTrailerAllowed(t *testing.T) {
	for name, want := range map[string]bool{
		"grpc-status": true, "X-Checksum": true, "Server-Timing": true, "ETag": true, "Digest": true,
		"": false, "a b": false, "Content-Length": false, "content-type": false, "Host": false, "TE": false,
		"Transfer-Encoding": false, "Set-Cookie": false, "If-Match": false, "Authorization": false,
		"Trailer": false, "X-Forwarded-For": false, "X-Forwarded-Port": false, "x_forwarded_for": false, "X-Real-IP": false,
		"Content_Length": false, "Set_Cookie": false, "X-Forwarded": true,
	} {
		if got := TrailerAllowed(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
