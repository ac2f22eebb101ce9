package place

import (
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

var documents = []struct {
	name, text string
	want       map[string]Position
}{
	{"plain keys", "a = 1\n  b = 2 # a comment\n\n\"c d\" = 3\n'e\"f' = 4", map[string]Position{
		"": {1, 1}, "a": {1, 1}, "b": {2, 3}, `"c d"`: {4, 1}, `"e\"f"`: {5, 1},
	}},
	{"dotted keys", "a.b . \"c.d\" = 1\na.e = 2", map[string]Position{
		"a": {1, 1}, "a.b": {1, 3}, `a.b."c.d"`: {1, 7}, "a.e": {2, 3},
	}},
	{"tables", "[a.b]\nc = 1\n[a]\nd = 2\n[ x . y ]\nz = 3", map[string]Position{
		"a": {3, 2}, "a.b": {1, 4}, "a.b.c": {2, 1}, "a.d": {4, 1}, "x": {5, 3}, "x.y": {5, 7}, "x.y.z": {6, 1},
	}},
	{"arrays of tables", "[[s]]\nn = 1\n[[s.u]]\np = 1\n[[s.u]]\np = 2\n[s.u.c]\nq = 3\n[[s]]\nn = 2\n[[s.u]]\np = 4", map[string]Position{
		"s": {1, 3}, "s[0]": {1, 3}, "s[0].u[0].p": {4, 1}, "s[0].u[1]": {5, 5}, "s[0].u[1].c.q": {8, 1}, "s[1].n": {10, 1}, "s[1].u[0].p": {12, 1},
	}},
	{"arrays and inline tables", "a = [1, \"]\", [2, 3], # x ]\n  { b = 'c,}', d.e = [ 4 ] },\n]\nf = { g = {}, }", map[string]Position{
		"a[0]": {1, 6}, "a[1]": {1, 9}, "a[2][1]": {1, 18}, "a[3]": {2, 3}, "a[3].b": {2, 5}, "a[3].d.e[0]": {2, 24}, "f.g": {4, 7},
	}},
	{"inline table over lines", "a = {\n  b = 1, # one\n  c = 2,\n}", map[string]Position{
		"a.b": {2, 3}, "a.c": {3, 3},
	}},
	{"multi-line strings", "a = \"\"\"\nx = 1\n\\\"\"\"\" # \"\"\"\nb = '''\n[c]\n'''''\nd = \"\"\"\"\"\"\ne = 5", map[string]Position{
		"a": {1, 1}, "b": {4, 1}, "d": {7, 1}, "e": {8, 1},
	}},
	{"escaped keys", `"\u00e9\x41\t\\" = 1`, map[string]Position{`"éA\t\\"`: {1, 1}}},
	{"line ends and a byte order mark", "\uFEFFa = 1\r\nb = 2\r\n", map[string]Position{"a": {1, 4}, "b": {2, 1}}},
	{"dates", "a = 2024-05-06 07:08:09\nb = [07:08:09, 2024-05-06]", map[string]Position{"a": {1, 1}, "b[1]": {2, 16}}},
}

func TestScan(t *testing.T) {
	for _, d := range documents {
		t.Run(d.name, func(t *testing.T) {
			if err := toml.Unmarshal([]byte(d.text), &map[string]any{}); err != nil {
				t.Fatalf("the case is not TOML: %v", err)
			}
			index := Scan(d.text)
			for path, want := range d.want {
				if got, whole := index.Find(path); got != want || !whole {
					t.Errorf("%s: got %v (whole: %t), want %v", path, got, whole, want)
				}
			}
			if twice := index.Twice(); twice != nil {
				t.Errorf("found twice: %+v", twice)
			}
		})
	}
}

func TestFindFallsBackToWhatIsThere(t *testing.T) {
	index := Scan("[a]\nb = [1]")
	tests := []struct {
		path string
		want Position
	}{
		{"x", Position{1, 1}},
		{"a.x.y", Position{1, 2}},
		{"a.b[7]", Position{2, 1}},
		{"a.b[0].c", Position{2, 6}},
		{"a.b[x]", Position{2, 1}},
		{`a."b`, Position{1, 2}},
	}
	for _, test := range tests {
		if got, whole := index.Find(test.path); got != test.want || whole {
			t.Errorf("%s: got %v (whole: %t), want %v", test.path, got, whole, test.want)
		}
	}
	if got, whole := new(Index).Find("a"); got != (Position{1, 1}) || whole {
		t.Errorf("zero index: got %v, %t", got, whole)
	}
}

func TestTwice(t *testing.T) {
	for _, text := range []string{"a.b = 1\na = 2", "[t]\na = 1\na = 2", "a = { b = 1, b = 2 }"} {
		if Scan(text).Twice() == nil {
			t.Errorf("%q: found no key twice", text)
		}
	}
}

func TestTooDeep(t *testing.T) {
	nested := func(levels int) string {
		return "a = " + strings.Repeat("[", levels) + strings.Repeat("]", levels)
	}
	if _, deep := Scan(nested(MaxDepth)).TooDeep(); deep {
		t.Errorf("%d levels are too deep", MaxDepth)
	}
	if at, deep := Scan(nested(100_000)).TooDeep(); !deep || at.Line != 1 {
		t.Errorf("100,000 levels: got %v, %t", at, deep)
	}
}

func TestPathRoundTrip(t *testing.T) {
	path := Key(Element(Element(Key("", "a b", "c"), 3), 0), "", `d"[0].e`)
	want := []Step{{Key: "a b"}, {Key: "c"}, {Index: 3, IsElement: true}, {Index: 0, IsElement: true}, {Key: ""}, {Key: `d"[0].e`}}
	if got := Split(path); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", path, got, want)
	}
}

// FuzzScan checks that the scanner never panics, and that it finds every key
// and element that the parser reads.
func FuzzScan(f *testing.F) {
	for _, d := range documents {
		f.Add(d.text)
	}
	f.Add("a = [[[[[[")
	f.Add("[[a]\n[b\n= = =\n\"\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		index := Scan(text)
		parsed := make(map[string]any)
		if _, deep := index.TooDeep(); deep || toml.Unmarshal([]byte(text), &parsed) != nil || index.Twice() != nil {
			return
		}
		checkFound(t, index, text, "", parsed)
	})
}

func checkFound(t *testing.T, index *Index, text, path string, value any) {
	at, whole := index.Find(path)
	if !whole {
		t.Fatalf("%s is in the document, but was not found", path)
	}
	if lines := strings.Split(text, "\n"); at.Line > len(lines) || at.Column > len(lines[at.Line-1])+1 {
		t.Fatalf("%s: %v is outside of the document", path, at)
	}
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			checkFound(t, index, text, Key(path, key), below)
		}
	case []map[string]any:
		for i, below := range v {
			checkFound(t, index, text, Element(path, i), below)
		}
	case []any:
		for i, below := range v {
			checkFound(t, index, text, Element(path, i), below)
		}
	}
}
