package wasm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm/meter"
)

// Permission says which capability modules a guest may import.
type Permission struct {
	Policy   string   // name in the manifest
	Declared []string // by policy.toml
	Granted  []string // by the manifest
	// Undeclared is a module without a policy.toml: nothing is declared, so only
	// the grants count.
	Undeclared bool
}

// CheckImports compares what the module imports with what the host has and the
// manifest grants. The error names everything that is wrong, each with its
// mend.
func (p *Program) CheckImports(allowed Permission) error {
	var problems []error
	var wanted []string // capabilities that are imported, in order of import
	first := make(map[string]string)
	for _, f := range p.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == meter.Host {
			continue
		}
		if err := p.checkImport(module, name, f); err != nil {
			problems = append(problems, err)
		} else if p.isCapability(module) && !slices.Contains(wanted, module) {
			wanted = append(wanted, module)
			first[module] = name
		}
	}
	for _, m := range p.compiled.ImportedMemories() {
		module, name, _ := m.Import()
		problems = append(problems, fmt.Errorf("imports the memory %s.%s: a guest brings its own memory and exports it as \"memory\"", module, name))
	}
	for _, capability := range wanted {
		problems = append(problems, allowed.check(capability, first[capability], wanted)...)
	}
	return errors.Join(problems...)
}

// checkImport compares one import with what the host has.
func (p *Program) checkImport(module, name string, f api.FunctionDefinition) error {
	offered, known := p.offered[module]
	if !known {
		modules := slices.Sorted(maps.Keys(p.offered))
		return fmt.Errorf("imports %s.%s, but the host has no module %s%s: it has %s",
			module, name, module, didYouMean(module, modules), strings.Join(modules, ", "))
	}
	want, known := offered[name]
	if !known {
		return fmt.Errorf("imports %s.%s, which the host does not have%s",
			module, name, didYouMean(name, slices.Sorted(maps.Keys(offered))))
	}
	if !want.is(f) {
		return fmt.Errorf("imports %s.%s as %s, but it is %s", module, name,
			signature{f.ParamTypes(), f.ResultTypes()}, want)
	}
	return nil
}

func (p *Program) isCapability(module string) bool {
	return slices.ContainsFunc(p.engine.options.Capabilities, func(m HostModule) bool { return m.Name == module })
}

// check says what lacks for one capability; wanted are all that the module
// imports, so that the line to add is the whole line.
func (a *Permission) check(capability, function string, wanted []string) []error {
	var problems []error
	if !a.Undeclared && !slices.Contains(a.Declared, capability) {
		problems = append(problems, fmt.Errorf("imports %s.%s, which policy.toml does not declare: its line must be capabilities = %s",
			capability, function, list(a.Declared, wanted)))
	}
	if !slices.Contains(a.Granted, capability) {
		problems = append(problems, fmt.Errorf("imports %s.%s, which is not granted: add grants = %s to [policy.%s]",
			capability, function, list(a.Granted, wanted), tomlKey(a.Policy)))
	}
	return problems
}

// list is a TOML array of what there is and what is wanted.
func list(present, wanted []string) string {
	all := slices.Clone(present)
	for _, w := range wanted {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return `["` + strings.Join(all, `", "`) + `"]`
}

// tomlKey quotes a key that can't stand bare.
func tomlKey(name string) string {
	bare := name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
	if bare {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// String renders a signature as "(i32, i32) -> i64".
func (s signature) String() string {
	text := "(" + types(s.params) + ")"
	if len(s.results) > 0 {
		text += " -> " + types(s.results)
	}
	return text
}

func types(list []api.ValueType) string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = api.ValueTypeName(t)
	}
	return strings.Join(names, ", ")
}
