package manifest

import (
	"fmt"
	"reflect"
)

// LoadHost reads only [host] of the manifest at path, so that a running host is
// found by a manifest that is wrong elsewhere. The error is as Load's.
func LoadHost(path string, options ...Option) (Host, error) {
	data, err := ReadFile(path)
	if err != nil {
		return Host{}, fmt.Errorf("read manifest %s: %w", path, err)
	}
	source, raw, problems := read(path, data)
	if problems != nil {
		return Host{}, problems
	}
	alone := map[string]any{"version": int64(1)}
	if host, written := raw["host"]; written {
		alone["host"] = host
	}
	m := &Manifest{source: source}
	d := newDecoder(source, newSettings(options))
	d.structure("", alone, reflect.ValueOf(m).Elem())
	d.complete(m)
	d.problems.Sort()
	return m.Host, d.problems.Err()
}
