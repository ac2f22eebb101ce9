// Command benchwasm measures what an instance of a policy costs: to start and configure one, to clone one, and to
// give each exchange a fresh one. It holds the figures, medians and ratios of one run, against their goals.
//
//	go run ./host/internal/benchwasm [-instances 200] [-rounds 5]
//
// Memory is the process's resident set (statm of proc(5)), so this runs on Linux only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/ergoproxy/ergo/host/internal/goal"
)

func main() {
	o := options{}
	flag.IntVar(&o.instances, "instances", 200, "instances that are held at once")
	flag.IntVar(&o.rounds, "rounds", 5, "times that everything is measured")
	flag.IntVar(&o.exchanges, "exchanges", 5000, "exchanges in each round")
	flag.Parse()
	met, err := run(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchwasm:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

type options struct{ instances, rounds, exchanges int }

// run measures and prints; it reports whether all goals are met.
func run(ctx context.Context, o options) (bool, error) {
	var goals []goal.Goal
	for _, g := range guests {
		m, err := measure(ctx, g, o)
		if err != nil {
			return false, fmt.Errorf("%s: %w", g.policy, err)
		}
		m.print(g)
		goals = append(goals, m.goals(g)...)
	}
	fmt.Println()
	return goal.Print(os.Stdout, goals)
}
