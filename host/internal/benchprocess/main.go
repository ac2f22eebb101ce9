// Command benchprocess measures what an exchange costs that a plugin process sees the head of: processor time of both
// sides together, with many in flight, over the unix socket with mutual TLS that the host always uses. A unary gRPC call for each
// exchange, over the same kind of connection, is measured in turns with it. It holds the figures, medians of one run,
// against their goals.
//
//	go run ./host/internal/benchprocess [-exchanges 50000] [-rounds 5]
//
// Processor time of the other side is read from /proc, so this runs on Linux only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ergoproxy/ergo/host/internal/goal"
)

func main() {
	if play := roles[filepath.Base(os.Args[0])]; play != nil {
		play()
		return
	}
	o := options{}
	flag.IntVar(&o.exchanges, "exchanges", 50_000, "exchanges in each round")
	flag.IntVar(&o.rounds, "rounds", 5, "times that each way is measured")
	flag.IntVar(&o.inFlight, "in-flight", 64, "exchanges at once")
	flag.StringVar(&o.profiles, "profiles", "", "folder for CPU profiles of both sides of the policy")
	flag.Parse()
	met, err := run(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchprocess:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

// roles are what the program is on the other side, by the name that it is started under.
var roles = map[string]func(){readerName: serveReader, unaryName: serveUnary}

type options struct {
	exchanges, rounds, inFlight int
	profiles                    string
}

// run measures and prints; it reports whether all goals are met.
func run(ctx context.Context, o options) (bool, error) {
	f, err := measure(ctx, o)
	if err != nil {
		return false, err
	}
	fmt.Printf("a policy's process: %v of processor time for an exchange, %.0f exchanges a second\n", f.policy.cpu, f.policy.rate)
	fmt.Printf("a unary call:       %v of processor time for an exchange, %.0f exchanges a second\n\n", f.unary.cpu, f.unary.rate)
	return goal.Print(os.Stdout, f.goals())
}

// figures are medians.
type figures struct{ policy, unary figure }

type figure struct {
	cpu  time.Duration // for an exchange, both sides
	rate float64       // exchanges a second
}

func (f figures) goals() []goal.Goal {
	return []goal.Goal{
		{What: "an exchange of which a process sees the head: processor time of both sides", Unit: "us",
			Measured: float64(f.policy.cpu) / 1e3, Bound: 45},
		{What: "exchanges through a process", Unit: "a second", Measured: f.policy.rate, Bound: 20_000, Least: true},
		{What: "a unary gRPC call takes more processor time", Unit: "times",
			Measured: float64(f.unary.cpu) / float64(f.policy.cpu), Bound: 2, Least: true},
	}
}
