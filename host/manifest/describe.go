package manifest

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// What problems call the kinds of values that stand in TOML, and those that a
// field wants.

// kindOf names the TOML type of a value, with its article.
func kindOf(raw any) string {
	switch v := raw.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "not a finite number"
		}
		return "a fraction"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case []any:
		return "an array"
	}
	return "a table"
}

// wanted describes what a field of type t with this tag accepts.
func wanted(t reflect.Type, tag reflect.StructTag) string {
	if enum := strings.Fields(tag.Get("enum")); len(enum) > 0 {
		return alternatives(enum)
	}
	if only := tag.Get("min"); only != "" && only == tag.Get("max") {
		return only
	}
	return noun(t) + sample(t) + bounds(tag)
}

// noun names what a type is in TOML.
func noun(t reflect.Type) string {
	switch reflect.Zero(t).Interface().(type) {
	case Duration:
		return "a duration"
	case Size:
		return "a size"
	case BodyNeed:
		return "a body need"
	case netip.Prefix:
		return "a network"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct && !isText(reflect.New(t.Elem()).Elem()) {
			return "an array of tables"
		}
		return "an array"
	}
	return "a table"
}

// sample shows how a value of a type is written, where its noun does not tell.
func sample(t reflect.Type) string {
	switch reflect.Zero(t).Interface().(type) {
	case Duration:
		return ` such as "250ms" or "1m30s"`
	case Size:
		return ` such as "512B", "64KiB" or "16MiB"`
	case BodyNeed:
		return `: "none", "peek(4KiB)", "buffer(1MiB)" or "stream"`
	case netip.Prefix:
		return ` such as "10.0.0.0/8" or "192.0.2.1/32"`
	case []netip.Prefix:
		return ` such as ["10.0.0.0/8"]`
	}
	return ""
}

// bounds describes the min and max tags.
func bounds(tag reflect.StructTag) string {
	lowest, highest := tag.Get("min"), tag.Get("max")
	switch {
	case lowest != "" && highest != "":
		return " from " + lowest + " to " + highest
	case lowest != "":
		return ", at least " + lowest
	case highest != "":
		return ", at most " + highest
	}
	return ""
}

// alternatives lists words as "a", "b" or "c".
func alternatives(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = fmt.Sprintf("%q", word)
	}
	last := len(quoted) - 1
	if last == 0 {
		return quoted[0]
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// example shows how a missing key would be written.
func example(path, key string, v reflect.Value) string {
	switch v.Kind() {
	case reflect.Int:
		return key + " = 1"
	case reflect.Slice:
		return "[[" + withoutIndices(path) + "]]"
	}
	return key + ` = "..."`
}

// withoutIndices turns the path of an array of tables into its header.
func withoutIndices(path string) string {
	header := ""
	for _, s := range place.Split(path) {
		if !s.IsElement {
			header = place.Key(header, s.Key)
		}
	}
	return header
}
