package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/internal/proctree"
)

// way is one way to show an exchange to another process.
type way interface {
	// visit shows it one, from one of so many goroutines.
	visit(ctx context.Context, lane int) error
	close() error
}

// measure goes both ways in turns.
func measure(ctx context.Context, o options) (f figures, err error) {
	policy, err := newReader(ctx, o)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, policy.close()) }()
	unary, err := newUnary()
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, unary.close()) }()
	ways := []way{policy, unary}
	all := make([][]figure, len(ways))
	for range o.rounds + 1 {
		for n, w := range ways {
			one, err := drive(ctx, w, o)
			if err != nil {
				return f, err
			}
			all[n] = append(all[n], one)
		}
	}
	// The first round warms up.
	return figures{median(all[0][1:]), median(all[1][1:])}, nil
}

func median(all []figure) figure {
	times, rates := make([]time.Duration, len(all)), make([]float64, len(all))
	for n, f := range all {
		times[n], rates[n] = f.cpu, f.rate
	}
	slices.Sort(times)
	slices.Sort(rates)
	return figure{times[len(all)/2], rates[len(all)/2]}
}

// drive shows a round's exchanges, so many at once.
func drive(ctx context.Context, w way, o options) (figure, error) {
	proc := os.DirFS("/proc")
	before, err := proctree.Read(proc, os.Getpid())
	if err != nil {
		return figure{}, err
	}
	var (
		group  sync.WaitGroup
		next   atomic.Int64
		failed atomic.Pointer[error]
	)
	start := time.Now()
	for lane := range o.inFlight {
		group.Go(func() {
			for next.Add(1) <= int64(o.exchanges) && failed.Load() == nil {
				if err := w.visit(ctx, lane); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	group.Wait()
	took := time.Since(start)
	if err := failed.Load(); err != nil {
		return figure{}, *err
	}
	after, err := proctree.Read(proc, os.Getpid())
	if err != nil {
		return figure{}, err
	}
	return figure{(after.CPU - before.CPU) / time.Duration(o.exchanges), float64(o.exchanges) / took.Seconds()}, nil
}
