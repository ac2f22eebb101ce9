package manifest

import "testing"

func TestConfigPath(t *testing.T) {
	use := Use{Config: map[string]any{
		"header": "x",
		"keys":   []any{"a", map[string]any{"b.c": []any{1}}},
		"table":  map[string]any{"0": true},
	}}
	tests := []struct {
		location []string
		want     string
	}{
		{nil, "edge.stage[1].use[2].config"},
		{[]string{"header"}, "edge.stage[1].use[2].config.header"},
		{[]string{"missing"}, "edge.stage[1].use[2].config.missing"},
		{[]string{"keys", "0"}, "edge.stage[1].use[2].config.keys[0]"},
		{[]string{"keys", "1", "b.c", "0"}, `edge.stage[1].use[2].config.keys[1]."b.c"[0]`},
		{[]string{"keys", "7", "x"}, "edge.stage[1].use[2].config.keys"},
		{[]string{"table", "0"}, "edge.stage[1].use[2].config.table.0"},
	}
	for _, test := range tests {
		if got := use.ConfigPath(UsePath("edge", 1, 2), test.location); got != test.want {
			t.Errorf("%q: got %s, want %s", test.location, got, test.want)
		}
	}
}

func TestProblemOfConfigStandsAtItsKey(t *testing.T) {
	const text = `version = 1
listener = [{ address = ":8080" }]
upstream.origin.endpoints = ["ergo:echo"]
policy.a.source = "a"
service = { upstream = "origin", stage = [{ name = "s", use = [{ policy = "a", config.keys = [
  "one",
  "two" ] }] }] }`
	m, err := Parse("proxy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	use := m.Service.Stages[0].Uses[0]
	path := use.ConfigPath(UsePath("service", 0, 0), []string{"keys", "1"})
	got := m.Source().Problem(path, "is not a hash", `write "sha256:..."`).String()
	const want = `proxy.toml:7:3: service.stage[0].use[0].config.keys[1]: is not a hash: write "sha256:..."`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestResolvedConfig(t *testing.T) {
	tests := []struct {
		name string
		use  Use
		want string
	}{
		{"none", Use{}, "{}"},
		{"empty", Use{Config: map[string]any{}}, "{}"},
		{"not from Load", Use{Config: map[string]any{"b": int64(9007199254740993), "a": "<&>"}}, `{"a":"<&>","b":9007199254740993}`},
		{"fractions", Use{Config: map[string]any{"a": 0.1, "b": 1e21}}, `{"a":0.1,"b":1e+21}`},
	}
	for _, test := range tests {
		if got := string(test.use.ResolvedConfig()); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
