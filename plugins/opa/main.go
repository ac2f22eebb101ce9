// Command opa is the policy that decides by Rego, the language of Open Policy Agent, with its
// bundles and its decision log.
package main

import (
	"io"
	"os"
	"runtime/debug"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

func main() {
	debug.SetGCPercent(400) // what decides stays, and is most of the heap: it need not be marked for each few megabytes
	out := os.Stderr        // what plugin.Serve puts in its place takes a longer way
	plugin.Serve(func(c plugin.Config) (any, error) { return configure(c.JSON, out) })
}

// configure makes the policy that a configuration describes. The decision log goes to out.
func configure(text []byte, out io.Writer) (any, error) {
	config, err := parseConfig(text)
	if err != nil {
		return nil, err
	}
	p, err := newPolicy(config, newDecisionLog(&config.Log, out), out)
	if err != nil {
		return nil, err
	}
	switch decider := (&bodyDecider{p}); {
	case config.Input.Body && config.ResponseHeaders:
		return &bodyResponder{decider, &responder{p}}, nil
	case config.Input.Body:
		return decider, nil
	case config.ResponseHeaders:
		return &responder{p}, nil
	}
	return p, nil
}
