package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ergoproxy/ergo/host/admin"
)

func newCache(out Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Show or purge what the running host stores for policies",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(
		newQuery(out, "status", "Print how much the running host stores, and how well", (*admin.Client).CacheStatus, printCache),
		newPurge(out),
	)
	return cmd
}

func newPurge(out Streams) *cobra.Command {
	var r remote
	var req admin.PurgeRequest
	cmd := &cobra.Command{
		Use:   "purge [URL]",
		Short: "Have the running host drop stored responses",
		Long: `Have the running host drop what it has stored for URL, in all variants; or for all
URLs with a prefix, or with a tag. What is asked for from then on comes from the origin.
Hosts that share what they store are told.`,
		Example: `  ergo cache purge https://site.example/news?page=2
  ergo cache purge --prefix https://site.example/news/ --soft
  ergo cache purge --tag article-7 --policy cache`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, urls []string) error {
			if len(urls) == 1 {
				req.URL = urls[0]
			}
			if !selectsOnce(&req) {
				return &usageError{cmd.CommandPath(), errors.New("say what to purge: one of URL, --prefix, --tag, --key and --all")}
			}
			return r.purge(cmd, out, req)
		},
	}
	r.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&req.Prefix, "prefix", "", "all URLs, or other keys, that begin so")
	flags.StringVar(&req.Tag, "tag", "", "what its origin has given this tag")
	flags.StringVar(&req.Key, "key", "", "what a policy has stored under this key, where keys are no URLs")
	flags.BoolVar(&req.All, "all", false, "all")
	flags.BoolVar(&req.Soft, "soft", false, "keep it, as stale until the origin says otherwise")
	flags.StringVar(&req.Policy, "policy", "", "of this policy alone (default: of all)")
	return cmd
}

// selectsOnce reports whether req says what to purge in one way.
func selectsOnce(req *admin.PurgeRequest) bool {
	ways := 0
	for _, text := range []string{req.URL, req.Prefix, req.Tag, req.Key} {
		if text != "" {
			ways++
		}
	}
	if req.All {
		ways++
	}
	return ways == 1
}

func (r *remote) purge(cmd *cobra.Command, out Streams, req admin.PurgeRequest) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	defer client.Close()
	result, err := client.Purge(cmd.Context(), req)
	if err != nil {
		return r.refused(out, err)
	}
	if r.asJSON {
		return printJSON(out.Out, result)
	}
	p, done := newPrinter(out.Out), "dropped"
	if req.Soft {
		done = "stale from now on"
	}
	fmt.Fprintf(p.w, "%s %s %s\n", p.good.Render("done:"), count(result.Purged, "response"), done)
	if result.Untold {
		fmt.Fprintln(p.w, p.accent.Render("warning:"), "other hosts don't know of it yet: they are told when the shared Redis is back")
	}
	return nil
}

func printCache(p *printer, s *admin.CacheStatus) {
	row := func(name string, t *admin.CacheTier) []string {
		return []string{
			name, strconv.Itoa(t.Entries), size(t.Bytes), size(t.Limit),
			strconv.FormatUint(t.Hits, 10), strconv.FormatUint(t.Evictions, 10),
		}
	}
	rows := [][]string{row("memory", &s.Memory)}
	if s.Disk != nil {
		rows = append(rows, row("disk", s.Disk))
	}
	p.table([]string{"TIER", "ENTRIES", "HELD", "LIMIT", "HITS", "EVICTIONS"}, rows)
	fmt.Fprintf(p.w, "\n%d stored, %d dropped, %d not found; %s of %s\n",
		s.Stored, s.Dropped, s.Misses, count(int(s.Purges), "purge"), count(int(s.Purged), "response"))
	if sh := s.Shared; sh != nil {
		state := p.good.Render("joined")
		if !sh.Joined {
			state = p.bad.Render("apart")
		}
		fmt.Fprintf(p.w, "shared: %s, %d found there, %d not; %s untold\n", state, sh.Hits, sh.Misses, count(sh.Untold, "purge"))
	}
	if len(s.Policies) == 0 {
		return
	}
	rows = nil
	for _, use := range s.Policies {
		rows = append(rows, []string{use.Name, strconv.Itoa(use.Fetching), strconv.FormatInt(use.Waiting, 10), strconv.Itoa(use.Refreshing)})
	}
	p.section("Policies")
	p.table([]string{"POLICY", "FETCHING", "WAITING", "REFRESHING"}, rows)
}
