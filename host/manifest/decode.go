package manifest

import (
	"encoding"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// decoder fills a value from what the TOML parser read, strictly, and collects
// every problem. What a field accepts its tags say:
//
//	toml      its key
//	default   its value when the key is absent
//	required  "true": the key must be there, and not empty
//	enum      the strings it may be, separated by spaces
//	min, max  bounds of a number, duration or size, inclusive
//	form      "path": made absolute, relative to the file;
//	          "one-or-list": a list of one may be written without brackets
type decoder struct {
	settings
	source   *Source
	folder   string // of the file
	problems Problems
	failed   map[string]bool // paths that have a problem
}

func newDecoder(source *Source, s settings) *decoder {
	return &decoder{
		settings: s, source: source,
		folder: filepath.Dir(absolute(source.file)), failed: make(map[string]bool),
	}
}

// problem records what is wrong at path. A path has one problem: what follows
// from the first would only hide it.
func (d *decoder) problem(path, wrong, right string) {
	if d.failed[path] {
		return
	}
	d.failed[path] = true
	d.problems = append(d.problems, d.source.Problem(path, wrong, right))
}

// mistyped records that raw is not what path wants.
func (d *decoder) mistyped(path string, raw any, want string) {
	d.problem(path, "is "+kindOf(raw), "write "+want)
}

// value decodes raw into a settable value.
func (d *decoder) value(path string, raw any, into reflect.Value, tag reflect.StructTag) {
	switch v := into.Addr().Interface().(type) {
	case *Secret:
		d.secret(path, raw, v)
		return
	case *Endpoint:
		d.endpoint(path, raw, v)
		return
	case *OnError:
		d.onError(path, raw, v)
		return
	case *[]HeaderMatch:
		d.headerMatches(path, raw, v)
		return
	case *map[string]any:
		d.free(path, raw, v)
		return
	case encoding.TextUnmarshaler:
		d.text(path, raw, v, into, tag)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(path, raw, into.Elem(), tag)
	case reflect.Struct:
		if table, ok := d.table(path, raw); ok {
			d.structure(path, table, into)
		}
	case reflect.Map:
		d.mapping(path, raw, into)
	case reflect.Slice:
		d.list(path, raw, into, tag)
	default:
		d.scalar(path, raw, into, tag)
	}
}

// table returns raw as a table.
func (d *decoder) table(path string, raw any) (map[string]any, bool) {
	table, ok := raw.(map[string]any)
	if !ok {
		d.mistyped(path, raw, "a table")
	}
	return table, ok
}

// structure decodes a table into a struct, with defaults for absent keys.
func (d *decoder) structure(path string, table map[string]any, into reflect.Value) {
	var known []string
	for field, value := range into.Fields() {
		key := field.Tag.Get("toml")
		if key == "" {
			continue
		}
		known = append(known, key)
		at := place.Key(path, key)
		raw, present := table[key]
		if !present {
			d.setDefault(value, field.Tag)
			if field.Tag.Get("required") != "" {
				d.problem(at, "is missing", "add "+example(at, key, value))
			}
			// A table that is absent has defaults all the same.
			if value.Kind() == reflect.Struct && !isText(value) {
				d.structure(at, nil, value)
			}
			continue
		}
		d.value(at, raw, value, field.Tag)
		if field.Tag.Get("required") != "" && isEmpty(value) {
			d.problem(at, "is empty", "write "+example(at, key, value))
		}
	}
	d.unknown(path, table, known)
}

// unknown reports the keys of table that are not known.
func (d *decoder) unknown(path string, table map[string]any, known []string) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(known, key) {
			d.problem(place.Key(path, key), "unknown key", DidYouMean(key, known))
		}
	}
}

// mapping decodes a table whose keys are names.
func (d *decoder) mapping(path string, raw any, into reflect.Value) {
	table, ok := d.table(path, raw)
	if !ok {
		return
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(table)))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		element := reflect.New(into.Type().Elem()).Elem()
		d.value(place.Key(path, key), table[key], element, "")
		into.SetMapIndex(reflect.ValueOf(key), element)
	}
}

// list decodes an array.
func (d *decoder) list(path string, raw any, into reflect.Value, tag reflect.StructTag) {
	items, ok := raw.([]any)
	if !ok && tag.Get("form") == "one-or-list" {
		into.Set(reflect.MakeSlice(into.Type(), 1, 1))
		d.value(path, raw, into.Index(0), "")
		return
	}
	if !ok {
		d.mistyped(path, raw, wanted(into.Type(), tag))
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
	for i, item := range items {
		d.value(place.Element(path, i), item, into.Index(i), "")
	}
}

// scalar decodes a string, boolean or number.
func (d *decoder) scalar(path string, raw any, into reflect.Value, tag reflect.StructTag) {
	matches := false
	switch into.Kind() {
	case reflect.String:
		var s string
		if s, matches = raw.(string); matches {
			into.SetString(d.file(tag, s))
		}
	case reflect.Bool:
		var b bool
		if b, matches = raw.(bool); matches {
			into.SetBool(b)
		}
	case reflect.Int:
		var n int64
		if n, matches = raw.(int64); matches {
			into.SetInt(n)
		}
	case reflect.Float64:
		var f float64
		if f, matches = raw.(float64); !matches {
			var n int64
			n, matches = raw.(int64)
			f = float64(n)
		}
		into.SetFloat(f)
	}
	if !matches {
		d.mistyped(path, raw, wanted(into.Type(), tag))
		return
	}
	d.inBounds(path, raw, into, tag)
}

// text decodes a type that has a textual form of its own.
func (d *decoder) text(path string, raw any, v encoding.TextUnmarshaler, into reflect.Value, tag reflect.StructTag) {
	s, ok := raw.(string)
	if !ok {
		d.mistyped(path, raw, wanted(into.Type(), tag))
		return
	}
	if v.UnmarshalText([]byte(s)) != nil {
		d.problem(path, fmt.Sprintf("%q is not %s", s, noun(into.Type())), "write "+wanted(into.Type(), tag))
		return
	}
	d.inBounds(path, raw, into, tag)
}

// inBounds checks a decoded value against its enum, min and max tags.
func (d *decoder) inBounds(path string, raw any, into reflect.Value, tag reflect.StructTag) {
	if enum := strings.Fields(tag.Get("enum")); len(enum) > 0 && !slices.Contains(enum, into.String()) {
		right := "write " + wanted(into.Type(), tag)
		if near := nearest(into.String(), enum); near != "" {
			right = fmt.Sprintf("did you mean %q? (%s)", near, wanted(into.Type(), tag))
		}
		d.problem(path, fmt.Sprintf("%q is not known", into.String()), right)
	}
	lowest, highest := tag.Get("min"), tag.Get("max")
	if lowest != "" && !(magnitude(into) >= bound(into, lowest)) || highest != "" && !(magnitude(into) <= bound(into, highest)) {
		d.problem(path, fmt.Sprintf("%v is out of range", raw), "write "+wanted(into.Type(), tag))
	}
}

// magnitude is a number, duration or size for comparison.
func magnitude(v reflect.Value) float64 {
	if v.CanInt() {
		return float64(v.Int())
	}
	return v.Float()
}

// bound is what a min or max tag means for a value of into's type.
func bound(into reflect.Value, text string) float64 {
	v := reflect.New(into.Type()).Elem()
	mustParse(v, text)
	return magnitude(v)
}

// setDefault gives an absent field the value of its default tag.
func (d *decoder) setDefault(into reflect.Value, tag reflect.StructTag) {
	if text, ok := tag.Lookup("default"); ok {
		mustParse(into, d.file(tag, text))
	}
}

// mustParse sets into from the text of a tag. A tag that does not parse is our
// own bug, and TestTags finds it.
func mustParse(into reflect.Value, text string) {
	var err error
	if v, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err = v.UnmarshalText([]byte(text))
	} else if into.Kind() == reflect.String {
		into.SetString(text)
	} else {
		_, err = fmt.Sscan(text, into.Addr().Interface())
	}
	if err != nil {
		panic(fmt.Sprintf("manifest: tag value %q of a %s: %v", text, into.Type(), err))
	}
}

// isText reports whether v is written as a string although it is a struct.
func isText(v reflect.Value) bool {
	_, text := v.Addr().Interface().(encoding.TextMarshaler)
	return text
}

func isEmpty(v reflect.Value) bool {
	return v.Kind() == reflect.String && v.Len() == 0 || v.Kind() == reflect.Slice && v.Len() == 0
}

// plain turns what the parser returns into map[string]any, []any and scalars.
func plain(raw any) any {
	switch v := raw.(type) {
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	case []map[string]any:
		items := make([]any, len(v))
		for i := range v {
			items[i] = plain(v[i])
		}
		return items
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return raw
}
