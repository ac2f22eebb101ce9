package admin

import (
	"encoding/json"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest"
)

// hidden stands where a value may be a secret.
const hidden = "(hidden)"

// redact returns the manifest as JSON values. What it knows to be secret is left
// out already; of policies' configurations, where only the policy knows, every
// string that is not a reference is hidden.
func redact(m *manifest.Manifest) (map[string]any, error) {
	var all map[string]any
	if err := json.Unmarshal(m.Redacted(), &all); err != nil {
		return nil, err
	}
	for _, name := range []string{"edge", "service"} {
		tier, _ := all[name].(map[string]any)
		for _, stage := range tables(tier, "stage") {
			for _, use := range tables(stage, "use") {
				if config, ok := use["config"]; ok {
					use["config"] = hide(config)
				}
			}
		}
	}
	return all, nil
}

// tables returns the array of tables under a key.
func tables(in map[string]any, key string) []map[string]any {
	list, _ := in[key].([]any)
	var all []map[string]any
	for _, entry := range list {
		if table, ok := entry.(map[string]any); ok {
			all = append(all, table)
		}
	}
	return all
}

// hide keeps the shape of a configuration, its numbers and truths, and its
// references.
func hide(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			v[key] = hide(member)
		}
	case []any:
		for i, member := range v {
			v[i] = hide(member)
		}
	case string:
		if !strings.HasPrefix(v, "env:") && !strings.HasPrefix(v, "file:") {
			return hidden
		}
	}
	return value
}
