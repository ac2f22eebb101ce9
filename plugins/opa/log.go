package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxLine bounds a line of the decision log: the host cuts what is longer than 8 KiB.
const maxLine = 8000

// decisionLog writes a line of JSON for each decision, in the form of Open Policy Agent's
// own decision logs. It is safe for concurrent use.
type decisionLog struct {
	all, refused bool
	mask         [][]string // JSON pointers, taken apart
	names        []string   // of mask

	mu  sync.Mutex
	out io.Writer
}

// masked are the fields that are never logged.
func masked() []string {
	return []string{
		"/input/request/headers/authorization", "/input/request/headers/cookie", "/input/request/headers/proxy-authorization",
		"/result/headers/authorization", "/result/headers/cookie", "/result/headers/set-cookie", "/result/response_headers/set-cookie",
	}
}

func newDecisionLog(c *logConfig, out io.Writer) *decisionLog {
	l := &decisionLog{all: c.Decisions == "all", refused: c.Decisions != "none", out: out}
	l.names = append(masked(), c.Mask...)
	for _, pointer := range l.names {
		l.mask = append(l.mask, pointerPath(pointer))
	}
	return l
}

// pointerPath takes a JSON Pointer (RFC 6901) apart.
func pointerPath(pointer string) []string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts
}

// record is what is logged of a decision.
type record struct {
	path     ast.Ref
	revision string
	request  string // its ID
	input    *ast.Term
	result   ast.Value // nil: there is none
	allow    bool
	err      error
	began    time.Time
	took     time.Duration
}

// line is a record as it is written.
type line struct {
	ID      string           `json:"decision_id"`
	Request string           `json:"req_id"`
	Time    time.Time        `json:"timestamp"`
	Path    string           `json:"path"`
	Bundles map[string]about `json:"bundles,omitempty"`
	Allow   bool             `json:"allow"`
	Input   any              `json:"input,omitempty"`
	Result  any              `json:"result,omitempty"`
	Erased  []string         `json:"erased,omitempty"`
	Error   string           `json:"error,omitempty"`
	Metrics map[string]int64 `json:"metrics"`
}

type about struct {
	Revision string `json:"revision"`
}

// write logs a decision, if it is to be. It returns the decision's ID, or "".
func (l *decisionLog) write(r *record) string {
	if !l.all && (r.allow || !l.refused) {
		return ""
	}
	id := rand.Text()
	text := l.format(id, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(append(text, '\n')) // the host reads it, or has ended
	return id
}

func (l *decisionLog) format(id string, r *record) []byte {
	made := line{
		ID: id, Request: r.request, Time: r.began.UTC(), Path: pathOf(r.path), Allow: r.allow,
		Metrics: map[string]int64{"timer_rego_query_eval_ns": r.took.Nanoseconds()},
	}
	if r.revision != "" {
		made.Bundles = map[string]about{"bundle": {r.revision}}
	}
	if r.err != nil {
		made.Error = cut(r.err.Error(), maxLine/8)
	}
	document := map[string]any{"input": plain(r.input), "result": nil}
	if r.result != nil {
		document["result"] = plain(ast.NewTerm(r.result))
	}
	for i, path := range l.mask {
		if erase(document, path) {
			made.Erased = append(made.Erased, l.names[i])
		}
	}
	made.Input, made.Result = document["input"], document["result"]
	text, err := json.Marshal(made)
	if err != nil || len(text) > maxLine {
		made.Input, made.Result, made.Erased = nil, nil, []string{"/input", "/result"}
		text, _ = json.Marshal(made) // of strings and numbers
	}
	return text
}

// pathOf writes data.a.b as a/b.
func pathOf(ref ast.Ref) string {
	path, err := ref.Ptr()
	if err != nil {
		return ref.String()
	}
	return path
}

func plain(t *ast.Term) any {
	if t == nil {
		return nil
	}
	v, err := ast.JSON(t.Value)
	if err != nil {
		return nil
	}
	return v
}

func cut(s string, max int) string { return strings.ToValidUTF8(s[:min(len(s), max)], "") }

// erase takes what a path leads to out of a document, and reports whether it was there. Names
// are compared without regard to case, as those of fields are.
func erase(document any, path []string) bool {
	last := len(path) == 1
	switch v := document.(type) {
	case map[string]any:
		erased := false
		for name, inner := range v {
			switch {
			case !strings.EqualFold(name, path[0]):
			case last:
				delete(v, name)
				erased = true
			default:
				erased = erase(inner, path[1:]) || erased
			}
		}
		return erased
	case []any:
		at, err := strconv.Atoi(path[0])
		if err != nil || at < 0 || at >= len(v) {
			return false
		}
		if last {
			v[at] = nil
			return true
		}
		return erase(v[at], path[1:])
	}
	return false
}
