//go:build !wasip1

package guest

import (
	"slices"
	"strings"
)

// FakeMetric is a metric that a policy has defined.
type FakeMetric struct {
	Kind     string // "counter", "gauge" or "histogram"
	Name     string
	Value    int64   // of a counter or gauge
	Observed []int64 // by a histogram
}

// FakeClock is the time in a test, in nanoseconds.
type FakeClock struct {
	Wall, Monotonic, Began int64
	Remaining              int64 // 0 is no time left; NewFake sets no deadline
}

// FakeIdentity is who the client is. What a policy sets has the Method "fake".
type FakeIdentity struct {
	Subject, Method string
	Attributes      []Field
}

// Metric returns the metric of that name; a zero one if there is none.
func (f *Fake) Metric(name string) FakeMetric {
	for _, m := range f.Metrics {
		if m.Name == name {
			return m
		}
	}
	return FakeMetric{}
}

func defineMetric(kind uint32, name string) (id, status uint32) {
	kinds := [...]string{counterKind: "counter", gaugeKind: "gauge", histogramKind: "histogram"}
	i := slices.IndexFunc(current.Metrics, func(m FakeMetric) bool { return m.Name == name })
	switch {
	case name == "" || len(name) > 256:
		return 0, 2
	case i >= 0 && current.Metrics[i].Kind != kinds[kind]:
		return 0, 12
	case i < 0 && len(current.Metrics) == 256:
		return 0, 11
	case i < 0:
		i = len(current.Metrics)
		current.Metrics = append(current.Metrics, FakeMetric{Kind: kinds[kind], Name: name})
	}
	return uint32(i), 0
}

func addMetric(id uint32, delta int64) { current.Metrics[id].Value += delta }

func recordMetric(id uint32, value int64) {
	switch m := &current.Metrics[id]; {
	case m.Kind == "gauge":
		m.Value = value
	case value >= 0:
		m.Observed = append(m.Observed, value)
	}
}

func metricValue(id uint32) uint64 { return uint64(current.Metrics[id].Value) }

func getSecret(name string, buf []byte) uint32 {
	if value, found := current.Secrets[name]; found {
		return give(value, buf)
	}
	return none
}

func clockWall() int64      { return current.Clock.Wall }
func clockMonotonic() int64 { return current.Clock.Monotonic }
func clockBegan() int64     { return current.Clock.Began }
func clockRemaining() int64 { return current.Clock.Remaining }

func getClientScheme(buf []byte) uint32 {
	if current.Secure {
		return give("https", buf)
	}
	return give("http", buf)
}

func getSubject(buf []byte) uint32    { return give(current.Identity.Subject, buf) }
func getIdentifier(buf []byte) uint32 { return give(current.Identity.Method, buf) }

func getAttribute(name string, buf []byte) uint32 {
	for _, a := range current.Identity.Attributes {
		if a.Name == name {
			return give(a.Value, buf)
		}
	}
	return none
}

func getAttributeNames(buf []byte) uint64 {
	var names []string
	for _, a := range current.Identity.Attributes {
		names = append(names, a.Name)
	}
	return giveList(names, buf)
}

func identify(subject string) uint32 {
	if subject == "" || hasControl(subject) {
		return 2
	}
	current.Identity = FakeIdentity{Subject: subject, Method: "fake"}
	return 0
}

func setAttribute(name, value string) uint32 {
	who := &current.Identity
	switch i := slices.IndexFunc(who.Attributes, func(a Field) bool { return a.Name == name }); {
	case name == "" || hasControl(name+value):
		return 2
	case who.Subject == "":
		return 1
	case i >= 0:
		who.Attributes[i].Value = value
	case len(who.Attributes) == 32:
		return 11
	default:
		who.Attributes = append(who.Attributes, Field{name, value})
	}
	return 0
}

func forget() uint32 {
	current.Identity = FakeIdentity{}
	return 0
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
