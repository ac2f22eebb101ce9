package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/engine"
)

func newStatus(out Streams) *cobra.Command {
	return newQuery(out, "status", "Print what the running host runs", (*admin.Client).Status, printStatus)
}

func newHistory(out Streams) *cobra.Command {
	return newQuery(out, "history", "Print the running host's swaps", (*admin.Client).History, printHistory)
}

// newQuery makes a command that asks the running host for something and shows it.
func newQuery[T any](out Streams, name, short string, ask func(*admin.Client, context.Context) (T, error), show func(*printer, T)) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := r.client()
			if err != nil {
				return err
			}
			defer client.Close()
			answer, err := ask(client, cmd.Context())
			if err != nil {
				return r.refused(out, err)
			}
			if r.asJSON {
				return printJSON(out.Out, answer)
			}
			show(newPrinter(out.Out), answer)
			return nil
		},
	}
	r.flags(cmd)
	return cmd
}

func printStatus(p *printer, s *engine.Status) {
	if s.Generation.ID == 0 {
		fmt.Fprintln(p.w, "starting: no generation runs yet")
		return
	}
	g := s.Generation
	fmt.Fprintf(p.w, "%s %d since %s, %s in flight, %s\n", p.bold.Render("generation"), g.ID,
		g.Since.Local().Format(time.DateTime), count(int(g.InFlight), "exchange"), p.dim.Render(digest(g.Digest)))
	for _, old := range s.Draining {
		fmt.Fprintf(p.w, "  generation %d drains: %s in flight\n", old.ID, count(int(old.InFlight), "exchange"))
	}
	if len(s.Kept) > 0 {
		fmt.Fprintf(p.w, "  rollback reaches %s\n", numbers(s.Kept))
	}
	printTiers(p, s.Tiers)
	for _, t := range s.Tiers {
		printPolicies(p, t)
	}
	printUpstreams(p, s)
}

func printTiers(p *printer, tiers []engine.TierStatus) {
	rows := make([][]string, len(tiers))
	for i, t := range tiers {
		b := t.Status.Bulkhead
		breaker := p.good.Render("closed")
		if t.Status.BreakerOpen {
			breaker = p.bad.Render("open")
		}
		rows[i] = []string{
			t.Name, fmt.Sprintf("%d/%d", b.InFlight, b.Limit), fmt.Sprintf("%d/%d", b.Queued, b.Queue),
			strconv.FormatUint(b.Shed, 10), breaker,
		}
	}
	p.section("Tiers")
	p.table([]string{"TIER", "IN FLIGHT", "QUEUED", "SHED", "BREAKER"}, rows)
}

func printPolicies(p *printer, t engine.TierStatus) {
	var rows [][]string
	for _, stage := range t.Stages {
		for _, use := range stage.Policies {
			s := use.Health.Stats
			rows = append(rows, []string{
				stage.Name, use.Name, use.Version, health(p, use),
				fmt.Sprintf("%d/%d", s.Busy, s.Instances), size(s.MemoryBytes),
				strconv.FormatUint(s.Discarded, 10), cost(s.Ticks), p.dim.Render(digest(use.Digest)),
			})
		}
	}
	if len(rows) == 0 {
		return
	}
	p.section("Policies of " + t.Name)
	p.table([]string{"STAGE", "POLICY", "VERSION", "HEALTH", "BUSY", "MEMORY", "DISCARDED", "TICKS", "DIGEST"}, rows)
}

func health(p *printer, use engine.PolicyStatus) string {
	switch h := use.Health; {
	case h.LoadError != "":
		return p.bad.Render("not loaded")
	case h.Quarantined:
		return p.bad.Render("quarantined") + " (" + h.Kind + ", probe in " + short(h.Retry) + ")"
	case h.Stats.Down > 0:
		return p.bad.Render(fmt.Sprintf("%d down", h.Stats.Down)) + " (next in " + short(h.Stats.Retry) + ")"
	case h.Failures > 0:
		return p.accent.Render(fmt.Sprintf("failing (%s, %d in a row)", h.Kind, h.Failures))
	}
	return p.good.Render("well")
}

func printUpstreams(p *printer, s *engine.Status) {
	rows := make([][]string, len(s.Upstreams))
	for i, e := range s.Upstreams {
		state := p.good.Render("healthy")
		switch {
		case !e.Ejected.IsZero():
			state = p.bad.Render("ejected") + " for " + short(time.Until(e.Ejected))
		case !e.Healthy:
			state = p.bad.Render("unhealthy")
		}
		rows[i] = []string{
			e.Upstream, e.Endpoint, state, e.Breaker, strconv.FormatInt(e.InFlight, 10),
			strconv.FormatUint(e.Requests, 10), strconv.FormatUint(e.Failed, 10),
		}
	}
	if len(rows) == 0 {
		return
	}
	p.section("Upstreams")
	p.table([]string{"UPSTREAM", "ENDPOINT", "STATE", "BREAKER", "IN FLIGHT", "REQUESTS", "FAILED"}, rows)
}

// numbers joins generation ids.
func numbers(ids []uint64) string {
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += ", "
		}
		text += strconv.FormatUint(id, 10)
	}
	return text
}
