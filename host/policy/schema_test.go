package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const schema = `
[config]
type = "object"
required = ["keys"]
additionalProperties = false

[config.properties.keys]
type = "array"
minItems = 1
uniqueItems = true
items = { type = "string", minLength = 3 }

[config.properties.mode]
enum = ["strict", "lax"]

[config.properties.rate]
type = "integer"
minimum = 1
maximum = 10

[config.properties.share]
type = "number"
exclusiveMaximum = 0.5

[config.properties.prefix]
type = "string"
pattern = "^/"

[config.properties.site]
type = "string"
format = "uri"

[config.properties.limit]
oneOf = [{ type = "string" }, { "$ref" = "#/$defs/limit" }]

[config."$defs".limit]
type = "object"
additionalProperties = false
properties = { "per~/second" = { type = "integer" } }
`

func TestCheckConfig(t *testing.T) {
	a, err := NewArtifact("greet", []byte(policyFile+schema), module)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, config string
		want         []string
	}{
		{"valid", `{"keys":["abc"],"mode":"lax","rate":3,"share":0.1,"prefix":"/x","site":"http://a.test","limit":"x"}`, nil},
		{"missing", `{}`, []string{"keys: is missing"}},
		{"unknown, near", `{"keys":["abc"],"mod":1}`, []string{`mod: is unknown to the policy: did you mean "mode"?`}},
		{"type", `{"keys":"abc"}`, []string{"keys: is a string: write an array"}},
		{"root type", `[]`, []string{"is an array: write a table"}},
		{"enum", `{"keys":["abc"],"mode":"hidden"}`, []string{`mode: is none of the values that the policy takes: one of "strict", "lax"`}},
		{"items", `{"keys":["abc","a"]}`, []string{"keys.1: is too short: at least 3 characters"}},
		{"none", `{"keys":[]}`, []string{"keys: has too few items: at least 1"}},
		{"twice", `{"keys":["abc","abc"]}`, []string{"keys: has equal items at 0 and 1: each item once"}},
		{"too small", `{"keys":["abc"],"rate":0}`, []string{"rate: is too small: at least 1"}},
		{"too large", `{"keys":["abc"],"rate":11}`, []string{"rate: is too large: at most 10"}},
		{"fraction", `{"keys":["abc"],"share":0.5}`, []string{"share: is too large: less than 0.5"}},
		{"pattern", `{"keys":["abc"],"prefix":"hidden"}`, []string{"prefix: does not have the form that the policy takes: write one that matches ^/"}},
		{"format", `{"keys":["abc"],"site":"hidden"}`, []string{"site: is not a uri"}},
		{"no alternative", `{"keys":["abc"],"limit":1}`, []string{"limit: fits none of the forms that the policy takes"}},
		{"nearest alternative", `{"keys":["abc"],"limit":{"per~/secon":1}}`,
			[]string{`limit.per~/secon: is unknown to the policy: did you mean "per~/second"?`}},
		{"several", `{"rate":"hidden","mode":1}`, []string{
			"keys: is missing", `mode: is none of the values that the policy takes: one of "strict", "lax"`, "rate: is a string: write an integer",
		}},
		{"no JSON", `{`, []string{"is not JSON"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, v := range a.CheckConfig([]byte(c.config)) {
				got = append(got, v.String())
				if strings.Contains(v.String(), "hidden") {
					t.Errorf("a value shows: %s", v)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%q, want\n%q", got, c.want)
			}
		})
	}
}

func TestViolationPath(t *testing.T) {
	a, err := NewArtifact("greet", []byte(policyFile+schema), module)
	if err != nil {
		t.Fatal(err)
	}
	v := a.CheckConfig([]byte(`{"keys":["abc","a"]}`))
	if len(v) != 1 || !slices.Equal(v[0].Path, []string{"keys", "1"}) {
		t.Errorf("got %+v, want one at keys, 1", v)
	}
}

// FuzzCheckConfig looks for values that show in what is said of them.
func FuzzCheckConfig(f *testing.F) {
	a, err := NewArtifact("greet", []byte(policyFile+schema), module)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("secret value", []byte(`{"keys":[]}`))
	f.Add("/secret/path", []byte(`{"rate":1e400}`))
	f.Add("http://secret", []byte("\xff"))
	f.Fuzz(func(t *testing.T, secret string, config []byte) {
		a.CheckConfig(config)
		if len(secret) < 8 || strings.Contains(policyFile+schema, secret) || strings.Contains(said, secret) {
			return
		}
		value, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"keys", "mode", "rate", "share", "prefix", "site", "limit"} {
			for _, v := range a.CheckConfig(fmt.Appendf(nil, `{%q: %s}`, key, value)) {
				if strings.Contains(v.String(), secret) {
					t.Fatalf("the value of %s shows: %s", key, v)
				}
			}
		}
	})
}

// said are the words that violations are made of.
const said = `keys: is missing is a string: write an array is a number: write an integer is none of the values that the policy takes: ` +
	`one of "strict", "lax" does not have the form that the policy takes: write one that matches ^/ is not a uri fits none of the forms that the policy takes`
