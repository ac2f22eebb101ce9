package manifest

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// The types that have more than one form in TOML.

// endpoint decodes a URL or a table.
func (d *decoder) endpoint(path string, raw any, into *Endpoint) {
	if url, ok := raw.(string); ok {
		raw = map[string]any{"url": url}
	}
	table, ok := raw.(map[string]any)
	if !ok {
		d.mistyped(path, raw, `a URL such as "http://127.0.0.1:9000", or { url = "...", weight = 1 }`)
		return
	}
	d.structure(path, table, reflect.ValueOf(into).Elem())
}

const actionForms = `"deny", "skip" or { respond = 503 }`

// failureKinds are the keys of an on_error table, in the order of OnError.
var failureKinds = [...]string{"load", "config", "trap", "timeout", "overload"}

// actions returns the actions in the order of failureKinds.
func (o *OnError) actions() [len(failureKinds)]*Action {
	return [...]*Action{&o.Load, &o.Config, &o.Trap, &o.Timeout, &o.Overload}
}

// denyAll is the failure rule where none is written.
func denyAll() OnError {
	deny := Action{Kind: "deny"}
	return OnError{deny, deny, deny, deny, deny}
}

// onError decodes one action for all kinds, or a table of kinds.
func (d *decoder) onError(path string, raw any, into *OnError) {
	*into = denyAll()
	table, isTable := raw.(map[string]any)
	if _, responds := table["respond"]; !isTable || responds {
		action := d.action(path, raw)
		*into = OnError{action, action, action, action, action}
		return
	}
	for i, action := range into.actions() {
		if kind, ok := table[failureKinds[i]]; ok {
			*action = d.action(place.Key(path, failureKinds[i]), kind)
		}
	}
	d.unknown(path, table, failureKinds[:])
}

// action decodes "deny", "skip" or { respond = STATUS }.
func (d *decoder) action(path string, raw any) Action {
	switch v := raw.(type) {
	case string:
		if v == "deny" || v == "skip" {
			return Action{Kind: v}
		}
		d.problem(path, fmt.Sprintf("%q is not known", v), "write "+actionForms)
	case map[string]any:
		status, ok := v["respond"].(int64)
		if !ok || status < 400 || status > 599 {
			d.problem(place.Key(path, "respond"), "is not a status of failure", "write a status from 400 to 599")
		}
		d.unknown(path, v, []string{"respond"})
		return Action{Kind: "respond", Status: int(status)}
	default:
		d.mistyped(path, raw, actionForms)
	}
	return Action{Kind: "deny"}
}

// headerMatches decodes a table of names to values, ordered by name.
func (d *decoder) headerMatches(path string, raw any, into *[]HeaderMatch) {
	table, ok := d.table(path, raw)
	if !ok {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		match := HeaderMatch{Name: name}
		switch v := table[name].(type) {
		case string:
			match.Value, match.Present = v, v == ""
		case bool:
			match.Present, match.Absent = v, !v
		default:
			d.mistyped(place.Key(path, name), v, `a value such as "text/*", true (present) or false (absent)`)
		}
		*into = append(*into, match)
	}
}

// secret decodes a literal or a reference.
func (d *decoder) secret(path string, raw any, into *Secret) {
	s, ok := raw.(string)
	if !ok {
		d.mistyped(path, raw, `a string: "env:NAME", "file:path" or the secret itself`)
		return
	}
	if isReference(s) {
		*into = NewSecret(d.dereference(path, s))
		into.reference = s
		return
	}
	*into = NewSecret(s)
}

// free decodes a table that has no type here, such as a policy's configuration.
func (d *decoder) free(path string, raw any, into *map[string]any) {
	table, ok := d.table(path, raw)
	if ok {
		*into = d.toJSON(path, table).(map[string]any)
	}
}

// toJSON returns a value with JSON's types only: tables, arrays, strings,
// booleans, int64 and finite float64.
func (d *decoder) toJSON(path string, raw any) any {
	switch v := raw.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			object[key] = d.toJSON(place.Key(path, key), v[key])
		}
		return object
	case []any:
		array := make([]any, len(v))
		for i := range v {
			array[i] = d.toJSON(place.Element(path, i), v[i])
		}
		return array
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			d.mistyped(path, v, "a finite number")
			return 0.0
		}
	case time.Time:
		return v.Format(timeLayout(v))
	}
	return raw
}

// timeLayout is the RFC 3339 form of one of TOML's four kinds of time; which it
// is the parser tells by the name of the zone.
func timeLayout(t time.Time) string {
	switch t.Location().String() {
	case "datetime-local":
		return "2006-01-02T15:04:05.999999999"
	case "date-local":
		return time.DateOnly
	case "time-local":
		return "15:04:05.999999999"
	}
	return time.RFC3339Nano
}

// file makes a string of form path absolute.
func (d *decoder) file(tag reflect.StructTag, s string) string {
	if tag.Get("form") != "path" || s == "" {
		return s
	}
	return d.absolute(s)
}

// absolute resolves a path that is relative to the file.
func (d *decoder) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.folder, path)
}
