package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

func TestTable(t *testing.T) {
	var out bytes.Buffer
	newPrinter(&out).table([]string{"NAME", "N"}, [][]string{{"a", "1"}, {"a long name", "22"}, {"ümlaut", ""}})
	const want = "NAME         N\na            1\na long name  22\nümlaut\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestFailure(t *testing.T) {
	var out bytes.Buffer
	newPrinter(&out).failure(manifest.Problems{
		{File: "/elsewhere/a.toml", Line: 1, Column: 2, Path: "edge", Wrong: "is wrong", Right: "be right"},
		{File: "b.toml", Line: 3, Column: 4, Wrong: "is wrong too"},
	})
	const want = "/elsewhere/a.toml:1:2: edge: is wrong: be right\nb.toml:3:4: is wrong too\n2 problems\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		count(1, "policy"):                "1 policy",
		count(2, "policy"):                "2 policies",
		count(0, "exchange"):              "0 exchanges",
		short(1234567 * time.Nanosecond):  "1.2ms",
		short(61500 * time.Millisecond):   "1m2s",
		short(999 * time.Nanosecond):      "1µs",
		size(900):                         "900 B",
		cost(999):                         "999",
		cost(1200):                        "1.2k",
		cost(34_560_000):                  "34.6M",
		cost(7e12):                        "7.0T",
		size(1536):                        "1.5 KiB",
		size(5 << 30):                     "5.0 GiB",
		digest("sha256:0123456789abcdef"): "0123456789ab",
		digest(""):                        "",
		first(nil):                        "",
		first([]string{"a", "b", "c"}):    "a (and 2 more)",
		numbers([]uint64{1, 2}):           "1, 2",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
