package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestParseReadsEveryKind(t *testing.T) {
	got, err := parse([]byte(` {"a":[null,true,false,-12,1.5e+3,""],"b":{"c":"x"},"":[]} `))
	want := map[string]any{
		"a": []any{nil, true, false, number("-12"), number("1.5e+3"), ""},
		"b": map[string]any{"c": "x"},
		"":  []any{},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v, want %#v", got, err, want)
	}
}

func TestParseReadsEscapes(t *testing.T) {
	cases := map[string]string{
		`"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t",
		`"\u00e9\u20AC"`:     "é€",
		`"\ud83d\ude00"`:     "😀",
		`"é"`:                "é",
	}
	for text, want := range cases {
		if got, err := parse([]byte(text)); got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

var notJSON = []string{
	"", " ", "nul", "{", "[1,]", `{"a":1,}`, "{a:1}", `{"a" 1}`, "[1 2]", "01", "-", "1.", ".5", "1e", `"`,
	"\"\n\"", `"\x"`, `"\u12"`, `"\u+123"`, `"\ud800"`, `"\ud800\u0041"`, `"\udc00"`, "1 1", `{"a":1,"a":2}`,
	"\"\xff\"", strings.Repeat("[", 100) + strings.Repeat("]", 100), "\"a\x00\"",
}

func TestParseRefusesWhatIsNotJSON(t *testing.T) {
	for _, text := range notJSON {
		if got, err := parse([]byte(text)); err == nil {
			t.Errorf("%s: got %#v, want an error", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range notJSON {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"a":[1,{"b":"\u00e9"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parse(text); err == nil && !json.Valid(text) {
			t.Errorf("%q was read, but is not JSON", text)
		}
	})
}

func TestObjectReportsEveryProblem(t *testing.T) {
	o, err := Parse([]byte(`{"n":11,"b":"x","s":1,"l":["a",1],"o":{"deep":true,"odd":1},"p":[],"more":1,"another":1}`))
	if err != nil {
		t.Fatal(err)
	}
	o.Int("n", 0, 0, 10)
	o.Bool("b", false)
	o.Text("s", "")
	o.Texts("l")
	o.Object("o").Text("deep", "")
	o.Object("p")
	want := `config.n: expected a whole number from 0 to 10
config.b: expected true or false
config.s: expected a string
config.l[1]: expected a string
config.o.deep: expected a string
config.p: expected an object
config.another: is not a known key
config.more: is not a known key
config.o.odd: is not a known key`
	if got := o.Err(); got == nil || got.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", got, want)
	}
}

func TestObjectGivesValuesAndDefaults(t *testing.T) {
	o, err := Parse([]byte(`{"n":-3,"b":false,"s":"x","l":["a"],"o":{"deep":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		o.Int("n", 0, -5, 5), o.Bool("b", true), o.Text("s", "y"), o.Texts("l"), o.Object("o").Int("deep", 0, 0, 9),
		o.Int("n2", 7, 0, 1), o.Bool("b2", true), o.Text("s2", "y"), o.Texts("l2"), o.Object("o2").Int("x", 8, 0, 0),
	}
	want := []any{-3, false, "x", []string{"a"}, 1, 7, true, "y", []string(nil), 8}
	if !reflect.DeepEqual(got, want) || o.Err() != nil {
		t.Errorf("got %#v, %v, want %#v", got, o.Err(), want)
	}
}

func TestParseOfNothing(t *testing.T) {
	for text, valid := range map[string]bool{"": true, "{}": true, "[]": false, "null": false, "{": false} {
		if _, err := Parse([]byte(text)); (err == nil) != valid {
			t.Errorf("%q: got %v, want valid %v", text, err, valid)
		}
	}
}

func TestMilliseconds(t *testing.T) {
	cases := map[string]uint64{
		"1ms": 1, "250ms": 250, "5s": 5000, "2m": 120_000, "1h": 3_600_000, "1d": 86_400_000,
		"0s": 0, "86400001ms": 0, "2d": 0, "5": 0, "s": 0, "": 0, "-5s": 0, "+5s": 0, "1.5s": 0, "5 s": 0, "99999999999999999999s": 0,
	}
	for text, want := range cases {
		o, err := Parse([]byte(`{"t":"` + text + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		got := o.Milliseconds("t", 7, 1, 86_400_000)
		if (o.Err() == nil) != (want > 0) || want > 0 && got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, o.Err(), want)
		}
		if got := o.Milliseconds("gone", 7, 1, 10); got != 7 {
			t.Errorf("otherwise: got %d, want 7", got)
		}
	}
}
