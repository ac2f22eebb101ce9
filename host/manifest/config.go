package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// resolvedConfig is a use's configuration with its references resolved. It
// stands behind a pointer so that printing a manifest does not show it.
type resolvedConfig struct{ json []byte }

// ResolvedConfig returns the configuration as JSON, with references resolved:
// canonical (keys sorted, no space), so that equal configurations are equal
// bytes. Without a configuration it is {}. It may hold secrets and must not be
// shown or changed.
func (u *Use) ResolvedConfig() []byte {
	if u.resolved == nil {
		return canonicalJSON(u.Config)
	}
	return u.resolved.json
}

// ConfigPath returns the path, for a Problem, of what a JSON Schema validator
// calls location (the unescaped tokens of a JSON pointer) in the configuration
// of a use whose own path is usePath. What the configuration lacks counts as a
// key.
func (u *Use) ConfigPath(usePath string, location []string) string {
	path := place.Key(usePath, "config")
	at := any(u.Config)
	for _, token := range location {
		if array, ok := at.([]any); ok {
			index, err := strconv.Atoi(token)
			if err != nil || index < 0 || index >= len(array) {
				return path
			}
			path, at = place.Element(path, index), array[index]
			continue
		}
		table, _ := at.(map[string]any)
		path, at = place.Key(path, token), table[token]
	}
	return path
}

// UsePath returns the path of a use by its place: tier is "edge" or "service".
func UsePath(tier string, stage, use int) string {
	return place.Element(place.Key(StagePath(tier, stage), "use"), use)
}

// StagePath returns the path of a stage by its place: tier is "edge" or
// "service".
func StagePath(tier string, stage int) string {
	return place.Element(place.Key(tier, "stage"), stage)
}

// resolveConfigs resolves the references in the configurations of a tier's uses.
func (d *decoder) resolveConfigs(name string, tier *Tier) {
	for i := range tier.Stages {
		for j := range tier.Stages[i].Uses {
			use := &tier.Stages[i].Uses[j]
			path := place.Key(UsePath(name, i, j), "config")
			use.resolved = d.resolved(path, use.Config)
		}
	}
}

// resolved resolves the references in a configuration.
func (d *decoder) resolved(path string, config map[string]any) *resolvedConfig {
	return &resolvedConfig{json: canonicalJSON(d.resolve(path, config).(map[string]any))}
}

// resolve returns a copy of a JSON value with its references resolved.
func (d *decoder) resolve(path string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			object[key] = d.resolve(place.Key(path, key), v[key])
		}
		return object
	case []any:
		array := make([]any, len(v))
		for i := range v {
			array[i] = d.resolve(place.Element(path, i), v[i])
		}
		return array
	case string:
		if isReference(v) {
			return d.dereference(path, v)
		}
	}
	return value
}

// canonicalJSON encodes a table that has JSON's types only. A nil table is {}.
func canonicalJSON(table map[string]any) []byte {
	if table == nil {
		return []byte("{}")
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(table); err != nil {
		panic("manifest: a table with a value that JSON lacks: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
