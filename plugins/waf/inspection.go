package main

import (
	"net"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// inspection is one exchange on its way through the rules' phases. It is used by one
// goroutine at a time.
type inspection struct {
	tx       types.Transaction
	protocol string
	noted    bool // it stands in the log
}

// begin tells the engine what is known of a request.
func (f *firewall) begin(r *plugin.Request) *inspection {
	i := &inspection{tx: f.engine.NewTransactionWithID(r.ID), protocol: r.Protocol}
	i.tx.ProcessConnection(r.Client, 0, "", 0)
	i.tx.ProcessURI(r.Target, r.Method, r.Protocol)
	if r.Authority != "" {
		i.tx.AddRequestHeader("Host", r.Authority)
		i.tx.SetServerName(hostOf(r.Authority))
	}
	sized := false
	for _, field := range r.Header.Fields() {
		i.tx.AddRequestHeader(field.Name, field.Value)
		sized = sized || strings.EqualFold(field.Name, "content-length")
	}
	if r.HasBody && !sized && strings.HasPrefix(r.Protocol, "HTTP/1.") {
		i.tx.AddRequestHeader("Transfer-Encoding", "chunked") // the host has taken it off
	}
	return i
}

func hostOf(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return authority
}

// requestBody has the rules see a body that is whole, or that there is none to see.
func (i *inspection) requestBody(body []byte) (*types.Interruption, error) {
	if len(body) > 0 {
		if stop, _, err := i.tx.WriteRequestBody(body); stop != nil || err != nil {
			return stop, err
		}
	}
	return i.tx.ProcessRequestBody()
}

// responseHead has the rules see a response's head.
func (i *inspection) responseHead(r *plugin.Response) *types.Interruption {
	for _, field := range r.Header.Fields() {
		i.tx.AddResponseHeader(field.Name, field.Value)
	}
	return i.tx.ProcessResponseHeaders(r.Status, i.protocol)
}

// responseBody has the rules see the beginning of a body, or that there is none to see.
func (i *inspection) responseBody(body []byte) (*types.Interruption, error) {
	if len(body) > 0 {
		if stop, _, err := i.tx.WriteResponseBody(body); stop != nil || err != nil {
			return stop, err
		}
	}
	return i.tx.ProcessResponseBody()
}

// score returns what the rules have counted against request and response.
func (i *inspection) score() (in, out int) {
	set := i.tx.(plugintypes.TransactionState).Variables().TX()
	number := func(name string) int {
		values := set.Get(name)
		if len(values) == 0 {
			return 0
		}
		n, _ := strconv.Atoi(values[0])
		return n
	}
	return number("blocking_inbound_anomaly_score"), number("blocking_outbound_anomaly_score")
}

// match is a rule that matched, without what it matched.
type match struct {
	rule     int
	severity string
}

// housekeeping are the rules by which the Core Rule Set prepares itself.
func housekeeping(rule int) bool { return rule >= 900_000 && rule < 910_000 }

// matches returns the rules that matched and have something to say, each once.
func (i *inspection) matches() []match {
	var list []match
	seen := map[int]bool{}
	for _, m := range i.tx.MatchedRules() {
		r := m.Rule()
		if seen[r.ID()] || housekeeping(r.ID()) || m.Message() == "" && r.Severity() == types.RuleSeverityUnset {
			continue
		}
		seen[r.ID()] = true
		severity := ""
		if r.Severity() != types.RuleSeverityUnset {
			severity = r.Severity().String()
		}
		list = append(list, match{r.ID(), severity})
	}
	return list
}

// end runs the last phase and gives the engine its memory back.
func (i *inspection) end() error {
	i.tx.ProcessLogging()
	return i.tx.Close()
}
