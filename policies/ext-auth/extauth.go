package main

import (
	"errors"
	"slices"
	"strings"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

// extAuth is the policy as configured. Names of fields are in lower case.
type extAuth struct {
	service service
	cache   cache

	upstreamHeaders []string // of a decision, for the upstream
	clientHeaders   []string // of a refusal, for the client
	subjectHeader   string   // of a decision: who the client is; "" for nobody
	strip           []string // of the request, once it passes
	maxBody         int
	failOpen        bool
}

func (e *extAuth) request(r guest.Request) guest.Flow {
	q := e.service.question(r)
	// Also where this policy refuses: where one of several is enough, the request may
	// go on all the same.
	r.Header().RemoveAlike(e.upstreamHeaders...)
	if e.service.appendTarget && isAmbiguous(q.target) {
		return r.Answer(400).Text("the path is ambiguous\n")
	}
	key := e.cache.key(q)
	decision, known := e.cache.get(key)
	if !known {
		answered, err := e.service.ask(q)
		switch {
		case err == nil && answered.Status >= 200 && answered.Status < 300:
			decision = e.read(&answered)
			e.cache.put(key, decision, &answered)
		case err == nil && answered.Status >= 300 && answered.Status < 500:
			return e.refuse(r, &answered)
		default:
			return e.fail(r, err)
		}
	}
	return e.pass(r, decision)
}

// decision is what a service says of a request that may pass: fields, as name and
// value by turns.
type decision []string

func (d decision) values(name string) (values []string) {
	for i := 0; i+1 < len(d); i += 2 {
		if d[i] == name {
			values = append(values, d[i+1])
		}
	}
	return values
}

func (e *extAuth) read(a *guest.Answered) decision {
	d := decision{}
	names := e.upstreamHeaders
	if e.subjectHeader != "" && !slices.Contains(names, e.subjectHeader) {
		names = append(names[:len(names):len(names)], e.subjectHeader)
	}
	for _, name := range names {
		for _, value := range a.Values(name) {
			d = append(d, name, value)
		}
	}
	return d
}

func (e *extAuth) pass(r guest.Request, d decision) guest.Flow {
	if e.subjectHeader != "" {
		if err := identify(d.values(e.subjectHeader)); err != nil {
			guest.Log(guest.Warn, "the service says who it is in a way that the host does not take: "+err.Error())
			return unavailable(r)
		}
	}
	e.stripFrom(r)
	for _, name := range e.upstreamHeaders {
		for _, value := range d.values(name) {
			r.Header().Add(name, value)
		}
	}
	return guest.Continue
}

// identify tells the host who the client is. Nobody is nobody, also if another policy
// thought otherwise; two are an error.
func identify(subjects []string) error {
	switch len(subjects) {
	case 0:
		return guest.Forget()
	case 1:
		return guest.Identify(subjects[0])
	}
	return guest.ErrBadArgument
}

// refuse gives the client the service's own answer, or what may be known of it.
func (e *extAuth) refuse(r guest.Request, a *guest.Answered) guest.Flow {
	reply := r.Answer(a.Status)
	for _, name := range e.clientHeaders {
		for _, value := range a.Values(name) {
			guest.Response{}.Header().Add(name, value)
		}
	}
	if len(a.Body) == 0 || len(a.Body) > e.maxBody {
		return reply.Empty()
	}
	contentType := "text/plain; charset=utf-8"
	if types := a.Values("content-type"); len(types) == 1 {
		contentType = types[0]
	}
	return reply.Body(contentType, a.Body)
}

// fail is for services that do not decide: that cannot be reached in time, or are
// out of order.
func (e *extAuth) fail(r guest.Request, err error) guest.Flow {
	why := "it is out of order"
	if err != nil {
		why = err.Error()
	}
	guest.Log(guest.Warn, "the service has not decided: "+why)
	if e.failOpen && !isClients(err) {
		e.stripFrom(r)
		return guest.Continue
	}
	return unavailable(r)
}

// isClients says whether a client can bring a failure about: by a request that the host
// does not make a call of, or that has the service say too much. Nobody passes by that.
func isClients(err error) bool {
	return errors.Is(err, guest.ErrBadArgument) || errors.Is(err, guest.ErrNotGranted) || errors.Is(err, guest.ErrTooLarge)
}

// stripFrom removes what was for the service alone.
func (e *extAuth) stripFrom(r guest.Request) {
	for _, name := range e.strip {
		r.Header().Remove(name)
	}
}

func unavailable(r guest.Request) guest.Flow {
	return r.Answer(503).Header("cache-control", "no-store").Header("retry-after", "5").Text("nobody can say now whether this is allowed\n")
}

func lower(names []string) []string {
	for i, name := range names {
		names[i] = strings.ToLower(name)
	}
	return names
}
