package manifest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// Redacted returns the manifest as indented JSON in its own words: keys and
// forms of TOML, defaults filled in, absolute paths, in a stable order. Of a
// secret it has the reference, or says only that there is one; a use's
// configuration is as written, so a secret that is literal there is shown.
func (m *Manifest) Redacted() []byte {
	var compact, indented bytes.Buffer
	dumpStruct(&compact, reflect.ValueOf(m).Elem())
	if err := json.Indent(&indented, compact.Bytes(), "", "  "); err != nil {
		panic("manifest: dump is not JSON: " + err.Error())
	}
	indented.WriteByte('\n')
	return indented.Bytes()
}

// MarshalJSON is Redacted, so that no encoder shows more.
func (m *Manifest) MarshalJSON() ([]byte, error) { return m.Redacted(), nil }

// dump writes one value as it would stand in TOML.
func dump(b *bytes.Buffer, v reflect.Value) {
	switch t := v.Interface().(type) {
	case encoding.TextMarshaler:
		text, _ := t.MarshalText() // those of this package and netip.Prefix cannot fail
		dumpPlain(b, string(text))
		return
	case OnError:
		dumpOnError(b, t)
		return
	case []HeaderMatch:
		dumpHeaderMatches(b, t)
		return
	case map[string]any:
		b.Write(canonicalJSON(t))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		dump(b, v.Elem())
	case reflect.Struct:
		dumpStruct(b, v)
	case reflect.Map:
		dumpMap(b, v)
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			separate(b, i)
			dump(b, v.Index(i))
		}
		b.WriteByte(']')
	default:
		dumpPlain(b, v.Interface())
	}
}

// dumpStruct leaves out what is absent: nil pointers, empty lists and tables.
func dumpStruct(b *bytes.Buffer, v reflect.Value) {
	b.WriteByte('{')
	written := 0
	for field, value := range v.Fields() {
		key := field.Tag.Get("toml")
		switch value.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			if value.IsNil() || value.Kind() != reflect.Pointer && value.Len() == 0 {
				continue
			}
		}
		if key == "" {
			continue
		}
		separate(b, written)
		dumpPlain(b, key)
		b.WriteByte(':')
		dump(b, value)
		written++
	}
	b.WriteByte('}')
}

func dumpMap(b *bytes.Buffer, v reflect.Value) {
	keys := make(map[string]reflect.Value, v.Len())
	for key, value := range v.Seq2() {
		keys[key.String()] = value
	}
	b.WriteByte('{')
	for i, key := range slices.Sorted(maps.Keys(keys)) {
		separate(b, i)
		dumpPlain(b, key)
		b.WriteByte(':')
		dump(b, keys[key])
	}
	b.WriteByte('}')
}

// dumpOnError writes one action if it is for all kinds, else a table of kinds.
func dumpOnError(b *bytes.Buffer, o OnError) {
	actions := o.actions()
	if o == (OnError{*actions[0], *actions[0], *actions[0], *actions[0], *actions[0]}) {
		dumpPlain(b, actionValue(*actions[0]))
		return
	}
	kinds := make(map[string]any, len(actions))
	for i, action := range actions {
		kinds[failureKinds[i]] = actionValue(*action)
	}
	b.Write(canonicalJSON(kinds))
}

func actionValue(a Action) any {
	if a.Kind == "respond" {
		return map[string]any{"respond": a.Status}
	}
	return a.Kind
}

func dumpHeaderMatches(b *bytes.Buffer, matches []HeaderMatch) {
	table := make(map[string]any, len(matches))
	for _, match := range matches {
		switch {
		case match.Value != "":
			table[match.Name] = match.Value
		default:
			table[match.Name] = match.Present
		}
	}
	b.Write(canonicalJSON(table))
}

// dumpPlain writes a value of JSON's own types.
func dumpPlain(b *bytes.Buffer, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic("manifest: " + err.Error())
	}
	b.Write(text)
}

func separate(b *bytes.Buffer, written int) {
	if written > 0 {
		b.WriteByte(',')
	}
}
