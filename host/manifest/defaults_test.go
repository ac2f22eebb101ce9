package manifest

import (
	_ "embed"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

//go:embed policyfile.go
var policyFileText string

// stated are the ways in which a comment states a default.
var stated = []*regexp.Regexp{
	regexp.MustCompile(`(\S+) \(default\b`),
	regexp.MustCompile(`\b[Dd]efault (?:is )?([^\s,;()]+)`),
}

// noLiteral are defaults that a comment tells in words and no tag holds.
var noLiteral = map[string]string{
	"Telemetry.OTLP":          "empty",
	"Host.TrustedProxies":     "none",
	"Health.Service":          "",
	"Health.Status":           "empty",
	"Retry.Status":            "empty",
	"Policy.Grants":           "none",
	"Outbound.Methods":        "GET",
	"Outbound.Internal":       "none",
	"Policy.Secrets":          "none",
	"Policy.Keys":             "none",
	"PolicyNeeds.Stateless":   "false",
	"PolicyNeeds.RequestOnly": "false",
	"PolicyNeeds.RequestBody": "",
}

// TestDefaultsAreStated compares the default tags, which Load fills in, with
// what the comments tell the reader.
func TestDefaultsAreStated(t *testing.T) {
	seen := 0
	comments, err := typeComments(typesText, keyTypesText, policyFileText)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []reflect.Type{reflect.TypeFor[Manifest](), reflect.TypeFor[PolicyFile]()} {
		eachField(root, make(map[reflect.Type]bool), func(owner reflect.Type, field reflect.StructField) {
			name := owner.Name() + "." + field.Name
			told := statedDefault(comments[name])
			tag, tagged := field.Tag.Lookup("default")
			if words, ok := noLiteral[name]; ok {
				if told != words || tagged {
					t.Errorf("%s: comment tells %q, want %q and no tag", name, told, words)
				}
				return
			}
			if tagged != (told != "") {
				t.Errorf("%s: tag says %q, comment says %q", name, tag, told)
				return
			}
			if tagged {
				seen++
				want, got := reflect.New(field.Type).Elem(), reflect.New(field.Type).Elem()
				mustParse(want, zeroUnit(field.Type, told))
				mustParse(got, tag)
				if !reflect.DeepEqual(got.Interface(), want.Interface()) {
					t.Errorf("%s: tag says %q, comment says %q", name, tag, told)
				}
			}
		})
	}
	if seen < 70 {
		t.Errorf("compared %d defaults only", seen)
	}
}

// statedDefault returns the default that a comment tells, "" if none.
func statedDefault(comment string) string {
	for _, pattern := range stated {
		if match := pattern.FindStringSubmatch(comment); match != nil && !strings.HasPrefix(comment[strings.Index(comment, match[0]):], "default: ") {
			return strings.TrimLeft(strings.TrimRight(match[1], `".,`), `"`)
		}
	}
	return ""
}

// zeroUnit gives the 0 of comments the unit that a size wants.
func zeroUnit(t reflect.Type, text string) string {
	if t == reflect.TypeFor[Size]() && text == "0" {
		return "0B"
	}
	return text
}

// eachField calls visit for each field with a toml tag, below t too.
func eachField(t reflect.Type, done map[reflect.Type]bool, visit func(reflect.Type, reflect.StructField)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || done[t] {
		return
	}
	done[t] = true
	for field := range t.Fields() {
		if field.Tag.Get("toml") != "" {
			visit(t, field)
			eachField(field.Type, done, visit)
		}
	}
}

// TestTags checks that each tag's value is one that its field accepts.
func TestTags(t *testing.T) {
	for _, root := range []reflect.Type{reflect.TypeFor[Manifest](), reflect.TypeFor[PolicyFile](), reflect.TypeFor[endpointsFile]()} {
		eachField(root, make(map[reflect.Type]bool), func(owner reflect.Type, field reflect.StructField) {
			d := newDecoder(&Source{file: "tags"}, newSettings(nil))
			for _, tag := range []string{"default", "min", "max"} {
				if text, ok := field.Tag.Lookup(tag); ok {
					v := reflect.New(field.Type).Elem()
					mustParse(v, text)
					d.inBounds(owner.Name()+"."+field.Name, text, v, field.Tag)
				}
			}
			if len(d.problems) > 0 {
				t.Error(d.problems)
			}
		})
	}
}

// TestAbsentTablesHaveDefaults checks that defaults reach what is not written,
// and that what is written to be zero stays so.
func TestAbsentTablesHaveDefaults(t *testing.T) {
	const text = `
version = 1
listener = [{ address = ":8080" }]
upstream.origin = { endpoints = ["ergo:echo"], retry = { attempts = 0 }, outlier.status_5xx = false }
service = { upstream = "origin", queue = 0 }
[host]
admin = ""
via = ""
watch = false
`
	m, err := Parse("proxy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	origin := m.Upstreams["origin"]
	checks := []struct {
		name      string
		got, want any
	}{
		{"edge.queue", m.Edge.Queue, 1024},
		{"service.queue", m.Service.Queue, 0},
		{"host.admin", m.Host.Admin, ""},
		{"host.via", m.Host.Via, ""},
		{"host.watch", m.Host.Watch, false},
		{"host.log.access", m.Host.Log.Access, true},
		{"listener.name", m.Listeners[0].Name, ":8080"},
		{"listener.limits.streams", m.Listeners[0].Limits.Streams, 250},
		{"upstream.retry.attempts", origin.Retry.Attempts, 0},
		{"upstream.retry.budget", origin.Retry.Budget, 20},
		{"upstream.outlier.status_5xx", origin.Outlier.Status5xx, false},
		{"upstream.endpoints[0]", origin.Endpoints[0], Endpoint{URL: EchoURL, Weight: 1}},
		{"upstream.health", origin.Health, (*Health)(nil)},
	}
	for _, c := range checks {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// What full.toml shows is every part of a manifest, but for what split.toml does.
func TestFullHasEveryKey(t *testing.T) {
	text := ""
	for _, name := range []string{"full", "split"} {
		data, err := os.ReadFile("testdata/good/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		text += string(data)
	}
	eachField(reflect.TypeFor[Manifest](), make(map[reflect.Type]bool), func(owner reflect.Type, field reflect.StructField) {
		key := field.Tag.Get("toml")
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(key) + `(\.| = |[\]."])`).MatchString(text) {
			t.Errorf("%s.%s: %s is in neither", owner.Name(), field.Name, key)
		}
	})
}
