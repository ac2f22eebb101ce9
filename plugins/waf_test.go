package plugins

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	coretests "github.com/corazawaf/coraza-coreruleset/v4/tests"
	"github.com/goccy/go-yaml"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
)

var (
	update = flag.Bool("update", false, "rewrite waf/testdata/misses.txt; with -part 1")
	part   = flag.Int("part", 5, "run each so-manieth of the Core Rule Set's own tests")
)

// coreFile is a file of the Core Rule Set's own tests, in the format of go-ftw.
type coreFile struct {
	Rule  int `yaml:"rule_id"`
	Tests []struct {
		ID     int         `yaml:"test_id"`
		Stages []coreStage `yaml:"stages"`
	} `yaml:"tests"`
}

type coreStage struct {
	Input struct {
		Method, URI, Version, Data string
		Headers                    map[string]string
		Encoded                    string `yaml:"encoded_request"`
		Autocomplete               *bool  `yaml:"autocomplete_headers"`
	} `yaml:"input"`
	Output struct {
		Log struct {
			Expect   []int `yaml:"expect_ids"`
			NoExpect []int `yaml:"no_expect_ids"`
		} `yaml:"log"`
	} `yaml:"output"`
}

// coreSetup are settings that are off by default and that the tests want on.
const coreSetup = `SecAction "id:1,phase:1,pass,nolog,setvar:tx.max_num_args=255,setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,\
setvar:tx.total_arg_length=64000,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535,setvar:tx.crs_validate_utf8_encoding=1"`

// TestCoreRuleSet has the Core Rule Set judged by its own tests, in the real host. What does not
// come out as they say is in testdata/misses.txt, and only that.
func TestCoreRuleSet(t *testing.T) {
	s := open(t, "waf")
	alone := s.Alone(t, s.Load(t, "all rules", map[string]any{
		"mode": "detect", "paranoia": 4, "response_body": map[string]any{"types": []any{"text/html", "text/plain"}},
		"directives": coreSetup,
	}))
	ran, left := 0, 0
	var misses []string
	for _, file := range coreFiles(t) {
		for n, test := range file.Tests {
			if n%*part != 0 {
				continue
			}
			name := fmt.Sprintf("%d-%d", file.Rule, test.ID)
			for _, stage := range test.Stages {
				x := stage.exchange()
				if x == nil {
					left++
					continue
				}
				ran++
				if why := stage.judge(matched(t, alone, x)); why != "" {
					misses = append(misses, name+" "+why)
				}
			}
		}
	}
	t.Logf("%d ran, %d of them did not come out; %d can't be sent here", ran, len(misses), left)
	known := knownMisses(t)
	for _, miss := range misses {
		if name, _, _ := strings.Cut(miss, " "); !*update && !known[name] {
			t.Error(miss)
		}
	}
	if ran < 4000 / *part || len(misses)*20 > ran {
		t.Errorf("%d ran, %d of them did not come out", ran, len(misses))
	}
	if *update {
		if err := os.WriteFile("waf/testdata/misses.txt", []byte(strings.Join(misses, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func coreFiles(t *testing.T) (files []coreFile) {
	t.Helper()
	err := fs.WalkDir(coretests.FS, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		text, err := fs.ReadFile(coretests.FS, path)
		if err != nil {
			return err
		}
		var f coreFile
		if err := yaml.Unmarshal(text, &f); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func knownMisses(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("waf/testdata/misses.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, " ")
		known[name] = true
	}
	return known
}

// exchange is the stage's request as a listener hands it on; nil if a listener would refuse it, if
// it is given as raw bytes, or if it is not about rules.
func (s *coreStage) exchange() *exchange.Exchange {
	in, out := &s.Input, &s.Output.Log
	if in.Encoded != "" || len(out.Expect)+len(out.NoExpect) == 0 {
		return nil
	}
	x := &exchange.Exchange{
		ID: "core", Began: exchange.Clock(), ClientIP: netip.MustParseAddr("192.0.2.7"),
		Conn: &exchange.Conn{Remote: netip.MustParseAddrPort("192.0.2.7:4711")},
	}
	r := &x.Request
	*r = exchange.Request{Method: in.Method, Scheme: "http", Target: in.URI, Version: exchange.HTTP11}
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Target == "" {
		r.Target = "/"
	}
	if in.Version == "HTTP/1.0" {
		r.Version = exchange.HTTP10
	} else if in.Version != "" && in.Version != "HTTP/1.1" {
		return nil
	}
	if !exchange.ValidName(r.Method) || !exchange.ValidTarget(r.Method, r.Target) {
		return nil
	}
	typed := false
	for name, value := range in.Headers {
		switch value = strings.TrimSpace(value); {
		case strings.EqualFold(name, "host"):
			r.Authority = value
			continue
		case !exchange.ValidName(name) || !exchange.ValidValue(value):
			return nil
		case strings.EqualFold(name, "content-length"), strings.EqualFold(name, "transfer-encoding"):
			return nil // framing is the host's
		}
		typed = typed || strings.EqualFold(name, "content-type")
		r.Header.Add(name, value)
	}
	if !exchange.ValidAuthority(r.Authority) {
		return nil
	}
	exchange.RemoveHopByHop(&r.Header)
	complete := in.Autocomplete == nil || *in.Autocomplete
	if in.Data != "" {
		if !complete {
			return nil // without a length it is no body
		}
		r.Body, r.Length = exchange.NewBuffered([]byte(in.Data)), int64(len(in.Data))
		r.Header.Add("Content-Length", strconv.Itoa(len(in.Data)))
		if !typed {
			r.Header.Add("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	return x
}

// matched are the rules that the exchange's line in the access log has.
func matched(t *testing.T, alone *tier.Tier, x *exchange.Exchange) []int {
	t.Helper()
	sent := reflected(x)
	walk := new(tier.Walk)
	if f := alone.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer alone.Leave(x)
	defer alone.Done(walk, x)
	if answered, f := alone.Request(walk, x); answered || f != nil {
		t.Fatalf("%s %s: answered %v, %v", x.Request.Method, x.Request.Target, answered, f)
	}
	x.Route.Sent = true
	sent(&x.Response)
	alone.Response(walk, x)
	if x.Failure != nil {
		t.Fatal(x.Failure)
	}
	var rules []int
	for _, note := range x.Notes {
		if note.Key != "waf_rules" {
			continue
		}
		for word := range strings.FieldsSeq(note.Value) {
			number, _, _ := strings.Cut(word, ":")
			if rule, err := strconv.Atoi(number); err == nil {
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// reflected is what the backend of those tests answers: at /reflect what the request says.
func reflected(x *exchange.Exchange) func(*exchange.Response) {
	var told struct {
		Status      int
		Headers     map[string]string
		Body        string
		EncodedBody string
	}
	if body, ok := x.Request.Body.(*exchange.Buffered); ok && strings.HasPrefix(x.Request.Target, "/reflect") {
		_ = json.Unmarshal(bytes.TrimSpace(body.Bytes()), &told)
	}
	return func(r *exchange.Response) {
		r.Status = max(told.Status, 200)
		for name, value := range told.Headers {
			r.Header.Add(name, value)
		}
		if !r.Header.Has("content-type") {
			r.Header.Add("Content-Type", "text/plain")
		}
		text := []byte(told.Body)
		if decoded, err := base64.StdEncoding.DecodeString(told.EncodedBody); err == nil && len(decoded) > 0 {
			text = decoded
		}
		if len(text) > 0 {
			r.Body, r.Length = exchange.NewBuffered(text), int64(len(text))
		}
	}
}

// judge says what did not come out; "" if all did.
func (s *coreStage) judge(rules []int) string {
	var wrong []string
	for _, rule := range s.Output.Log.Expect {
		if !slices.Contains(rules, rule) {
			wrong = append(wrong, fmt.Sprintf("%d did not match", rule))
		}
	}
	for _, rule := range s.Output.Log.NoExpect {
		if slices.Contains(rules, rule) {
			wrong = append(wrong, fmt.Sprintf("%d matched", rule))
		}
	}
	return strings.Join(wrong, ", ")
}
