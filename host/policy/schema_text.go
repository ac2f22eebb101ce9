package policy

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// describe says what a value breaks and what would be right, without the value
// itself.
func describe(k jsonschema.ErrorKind) (wrong, right string) {
	switch k := k.(type) {
	case *kind.Type:
		return "is " + article(k.Got), "write " + article(k.Want...)
	case *kind.Enum:
		return "is none of the values that the policy takes", "one of " + listOf(k.Want)
	case *kind.Const:
		return "is not the value that the policy takes", listOf([]any{k.Want})
	case *kind.Format:
		return "is not a " + k.Want, ""
	case *kind.Pattern:
		return "does not have the form that the policy takes", "write one that matches " + k.Want
	case *kind.Not:
		return "is of a form that the policy does not take", ""
	case *kind.UniqueItems:
		return fmt.Sprintf("has equal items at %d and %d", k.Duplicates[0], k.Duplicates[1]), "each item once"
	case *kind.PropertyNames:
		return fmt.Sprintf("has a key %q that the policy does not take", k.Property), ""
	case *kind.FalseSchema:
		return "must not be set", ""
	}
	if wrong, right = describeNumber(k); wrong != "" {
		return wrong, right
	}
	if wrong, right = describeSize(k); wrong != "" {
		return wrong, right
	}
	return "breaks the rule " + strings.Join(k.KeywordPath(), "/") + " of the policy's schema", ""
}

// article joins names of JSON types, as TOML knows them: "a table or an array".
func article(types ...string) string {
	words := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "array", "integer":
			words[i] = "an " + t
		case "object":
			words[i] = "a table"
		case "null":
			words[i] = t
		default:
			words[i] = "a " + t
		}
	}
	return strings.Join(words, " or ")
}

func describeNumber(k jsonschema.ErrorKind) (wrong, right string) {
	switch k := k.(type) {
	case *kind.Minimum:
		return "is too small", "at least " + number(k.Want)
	case *kind.Maximum:
		return "is too large", "at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "is too small", "more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "is too large", "less than " + number(k.Want)
	case *kind.MultipleOf:
		return "is no multiple of " + number(k.Want), ""
	}
	return "", ""
}

func describeSize(k jsonschema.ErrorKind) (wrong, right string) {
	switch k := k.(type) {
	case *kind.MinLength:
		return "is too short", fmt.Sprintf("at least %d characters", k.Want)
	case *kind.MaxLength:
		return "is too long", fmt.Sprintf("at most %d characters", k.Want)
	case *kind.MinItems:
		return "has too few items", fmt.Sprintf("at least %d", k.Want)
	case *kind.MaxItems:
		return "has too many items", fmt.Sprintf("at most %d", k.Want)
	case *kind.MinProperties:
		return "has too few keys", fmt.Sprintf("at least %d", k.Want)
	case *kind.MaxProperties:
		return "has too many keys", fmt.Sprintf("at most %d", k.Want)
	case *kind.DependentRequired:
		return fmt.Sprintf("has %q without what goes with it", k.Prop), "also set " + strings.Join(k.Missing, ", ")
	}
	return "", ""
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// listOf lists values of the schema, which are no secrets.
func listOf(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
		if s, ok := v.(string); ok {
			words[i] = fmt.Sprintf("%q", s)
		}
	}
	return strings.Join(words, ", ")
}
