package engine

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/upstream"
)

// Status is what runs at one moment.
type Status struct {
	Mode       Mode               `json:"mode"`
	Generation GenerationStatus   `json:"generation"`
	Kept       []uint64           `json:"kept"`     // generations that a rollback reaches in memory, oldest first
	Draining   []GenerationStatus `json:"draining"` // old generations with exchanges in flight
	Tiers      []TierStatus       `json:"tiers"`
	Upstreams  []upstream.Status  `json:"upstreams"`
}

// GenerationStatus is one generation.
type GenerationStatus struct {
	ID       uint64    `json:"id"`
	Digest   string    `json:"digest"`
	Since    time.Time `json:"since"`
	InFlight int64     `json:"in_flight"`
}

// TierStatus is a tier of the running generation.
type TierStatus struct {
	Name   string        `json:"name"`
	Status tier.Status   `json:"load"`
	Stages []StageStatus `json:"stages"`
}

// StageStatus is a stage with its policies in order.
type StageStatus struct {
	Name     string         `json:"name"`
	Combine  string         `json:"combine"`
	Policies []PolicyStatus `json:"policies"`
}

// PolicyStatus is one use of a policy.
type PolicyStatus struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Family  string          `json:"family"`
	Digest  string          `json:"digest"` // of its module
	Health  tier.SlotStatus `json:"health"`
	Shared  bool            `json:"shared,omitempty"` // with a use before it: same instances, same health
}

// Part is one use of a policy in a generation.
type Part struct {
	Tier, Stage string
	Policy      string
	Version     string
	Digest      string // of the module; empty if it could not be loaded
	slot        *slot
	shared      bool // a part before it has the slot too
}

// Status tells what runs now; the zero Status before the first generation.
func (e *Engine) Status() Status {
	g := e.current.Load()
	if g == nil {
		return Status{Mode: e.opts.Mode}
	}
	s := Status{
		Mode: e.opts.Mode, Generation: g.status(), Upstreams: e.opts.Upstreams.Status(),
		Kept: []uint64{}, Draining: []GenerationStatus{},
	}
	e.mu.Lock()
	for _, kept := range e.stack {
		if kept != g {
			s.Kept = append(s.Kept, kept.id)
		}
		if kept != g && kept.inFlight() > 0 {
			s.Draining = append(s.Draining, kept.status())
		}
	}
	for old := range e.draining {
		s.Draining = append(s.Draining, old.status())
	}
	e.mu.Unlock()
	slices.SortFunc(s.Draining, func(a, b GenerationStatus) int { return int(a.ID) - int(b.ID) })
	for _, t := range g.tiers {
		s.Tiers = append(s.Tiers, g.tierStatus(t))
	}
	return s
}

func (g *generation) status() GenerationStatus {
	return GenerationStatus{ID: g.id, Digest: g.digest, Since: time.Unix(0, g.since.Load()), InFlight: g.inFlight()}
}

func (g *generation) tierStatus(t *tier.Tier) TierStatus {
	stages := g.manifest.Edge.Stages
	if t.Name() == "service" {
		stages = g.manifest.Service.Stages
	}
	status := TierStatus{Name: t.Name(), Status: t.Status()}
	for _, s := range stages {
		row := StageStatus{Name: s.Name, Combine: s.Combine}
		for _, p := range g.parts {
			if p.Tier == t.Name() && p.Stage == s.Name {
				row.Policies = append(row.Policies, PolicyStatus{
					Name: p.Policy, Version: p.Version, Family: p.slot.Family, Digest: p.Digest,
					Health: p.slot.Status(), Shared: p.shared,
				})
			}
		}
		status.Stages = append(status.Stages, row)
	}
	return status
}

// partList returns the uses that were built, in the order of the request.
func (b *build) partList() []Part {
	var parts []Part
	for _, r := range b.rows {
		if r.slot == nil {
			continue
		}
		p := Part{Tier: r.tier, Stage: b.stage(r).Name, Policy: r.config.Policy, slot: r.slot}
		p.shared = slices.ContainsFunc(parts, func(o Part) bool { return o.slot == p.slot })
		if a := b.artifacts[r.config.Policy]; a != nil {
			p.Version, p.Digest = a.File.Version, a.Digest
		}
		parts = append(parts, p)
	}
	return parts
}

// change says what is new in b's generation, against the one before.
func (b *build) change(before *generation) *Change {
	c := &Change{To: b.g.id, Digest: b.g.digest, Loaded: b.loaded, Kept: b.kept, Warnings: b.warnings, Changes: []string{}}
	if before == nil {
		return c
	}
	c.From = before.id
	c.Changes = append(changedParts(before.parts, b.g.parts), changedSettings(before.manifest, b.m)...)
	c.Changes = append(c.Changes, changedKeys(before, b.g)...)
	c.NeedsRestart = keptUntilRestart(before.manifest, b.m)
	return c
}

// changedKeys tells which keys have another version now, as their source says.
func changedKeys(before, after *generation) (changes []string) {
	for _, k := range after.fed {
		if i := slices.IndexFunc(before.fed, func(o fed) bool { return o.spring == k.spring }); i >= 0 &&
			before.fed[i].key.Fingerprint() != k.key.Fingerprint() {
			changes = append(changes, "key."+k.spring.name+": its source has other versions")
		}
	}
	return changes
}

// changedParts tells which policies came, went, or are no longer what they were.
func changedParts(before, after []Part) []string {
	changes := []string{}
	var seen []Part
	for _, p := range slices.Concat(after, before) {
		if slices.ContainsFunc(seen, p.isBeside) {
			continue
		}
		seen = append(seen, p)
		if change := changedPart(p.besides(before), p.besides(after)); change != "" {
			changes = append(changes, fmt.Sprintf("%s.%s: policy %s %s", p.Tier, p.Stage, p.Policy, change))
		}
	}
	return changes
}

// isBeside reports whether o is a use of the same policy in the same stage.
func (p Part) isBeside(o Part) bool {
	return o.Tier == p.Tier && o.Stage == p.Stage && o.Policy == p.Policy
}

func (p Part) besides(parts []Part) []Part {
	var found []Part
	for _, o := range parts {
		if p.isBeside(o) {
			found = append(found, o)
		}
	}
	return found
}

// changedPart tells what became of the uses of one policy in one stage, all of
// them of one version; "" if they are what they were.
func changedPart(before, after []Part) string {
	switch {
	case len(before) == 0:
		return after[0].Version + " added"
	case len(after) == 0:
		return before[0].Version + " removed"
	case before[0].Digest != after[0].Digest || before[0].Version != after[0].Version:
		return named(before[0]) + " -> " + named(after[0])
	case len(before) != len(after):
		return fmt.Sprintf("%s used %s, was %d", after[0].Version, times(len(after)), len(before))
	}
	for i := range after {
		if before[i].slot.key != after[i].slot.key {
			return "configured anew"
		}
	}
	return ""
}

func times(n int) string {
	if n == 1 {
		return "1 time"
	}
	return fmt.Sprintf("%d times", n)
}

// named tells versions apart that call themselves the same.
func named(p Part) string {
	if p.Digest == "" {
		return "not loaded"
	}
	const shown = len("sha256:") + 12
	return fmt.Sprintf("%s (%.*s)", p.Version, shown, p.Digest)
}

// changedSettings tells which sections of the manifest differ.
func changedSettings(before, after *manifest.Manifest) []string {
	var changes []string
	for _, s := range []struct {
		name          string
		before, after any
	}{
		{"host", before.Host, after.Host},
		{"listener", before.Listeners, after.Listeners},
		{"upstream", before.Upstreams, after.Upstreams},
		{"key", before.Keys, after.Keys},
		{"policy", before.Policies, after.Policies},
		{"edge", before.Edge, after.Edge},
		{"service", before.Service, after.Service},
		{"split", before.Split, after.Split},
		{"state", before.State, after.State},
		{"cache", before.Cache, after.Cache},
		{"telemetry", before.Telemetry, after.Telemetry},
	} {
		if !reflect.DeepEqual(s.before, s.after) {
			changes = append(changes, s.name+": settings changed")
		}
	}
	return changes
}

// keptUntilRestart names changed settings that the process was started with.
func keptUntilRestart(before, after *manifest.Manifest) []string {
	var names []string
	for _, s := range []struct {
		name          string
		before, after any
	}{
		{"host.admin", before.Host.Admin, after.Host.Admin},
		{"host.admin_token", before.Host.AdminToken, after.Host.AdminToken},
		{"host.data", before.Host.Data, after.Host.Data},
		{"host.watch", before.Host.Watch, after.Host.Watch},
		{"host.log.format", before.Host.Log.Format, after.Host.Log.Format},
		{"host.log.access", before.Host.Log.Access, after.Host.Log.Access},
		{"state", before.State, after.State},
		{"cache", before.Cache, after.Cache},
		{"telemetry", withoutSample(before.Telemetry), withoutSample(after.Telemetry)},
	} {
		if !reflect.DeepEqual(s.before, s.after) {
			names = append(names, s.name)
		}
	}
	return names
}

// withoutSample leaves out what takes effect at once.
func withoutSample(t manifest.Telemetry) manifest.Telemetry {
	t.Sample = 0
	return t
}
