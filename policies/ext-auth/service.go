package main

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

// service is whom to ask, and what it is told of a request.
type service struct {
	url          string
	appendTarget bool   // the request's own path and query come after the URL
	sameMethod   bool   // it is asked by the request's own method, else by GET
	scheme       string // for X-Forwarded-Proto
	headers      []string
	timeoutMS    int
}

// question is what a service decides by.
type question struct {
	method, host, target, client string
	headers                      []string // name and value by turns
}

func (s *service) question(r guest.Request) question {
	q := question{method: r.Method(), target: r.Target(), client: clientOf(r.Source())}
	q.host, _ = r.Header().Get("host")
	for _, name := range s.headers {
		for _, value := range r.Header().Values(name) {
			q.headers = append(q.headers, name, value)
		}
	}
	return q
}

// isAmbiguous says whether the target's path would be another one for those who resolve
// dots: below the service's URL it could name a place outside of it.
func isAmbiguous(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	isSlash := func(r rune) bool { return r == '/' || r == '\\' }
	return err != nil || slices.ContainsFunc(strings.FieldsFunc(decoded, isSlash), func(segment string) bool {
		segment, _, _ = strings.Cut(segment, ";") // some cut parameters off before
		return segment == "." || segment == ".."
	})
}

// clientOf is an address without its port.
func clientOf(source string) string {
	address, err := netip.ParseAddrPort(source)
	if err != nil {
		return source
	}
	return address.Addr().String()
}

// ask asks the service. Fields of the question come before none of its own: a client
// that sends X-Forwarded-Uri would otherwise be let in somewhere else.
func (s *service) ask(q question) (guest.Answered, error) {
	call := guest.Call{URL: s.url, TimeoutMS: s.timeoutMS, Fields: append([]string{
		"x-forwarded-method", q.method, "x-forwarded-proto", s.scheme, "x-forwarded-host", q.host,
		"x-forwarded-uri", q.target, "x-forwarded-for", q.client,
	}, q.headers...)}
	if s.appendTarget {
		// The slash ends the host's name, whatever a target begins with.
		call.URL = strings.TrimSuffix(s.url, "/") + "/" + strings.TrimPrefix(q.target, "/")
	}
	if s.sameMethod {
		call.Method = q.method
	}
	return guest.Fetch(call)
}
