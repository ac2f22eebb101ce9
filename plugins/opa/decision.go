package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// decision is what rules have decided.
type decision struct {
	allow    bool
	status   int            // of a refusal
	headers  []plugin.Field // of the request that goes on, or of the refusal
	remove   []string       // fields of the request
	response []plugin.Field // of the response to a request that goes on
	body     []byte         // of a refusal
	isJSON   bool           // body
	subject  string         // who the client is; "": it is not said
	facts    []plugin.Field // about the subject
}

// maxBody bounds the body of a refusal.
const maxBody = 64 << 10

// errDecision says that the rules' decision is none.
var errDecision = errors.New("the decision is not one")

func badDecision(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDecision, fmt.Sprintf(format, args...))
}

// readDecision reads a boolean, or an object with allow and more. An object without allow
// refuses.
func readDecision(v ast.Value) (decision, error) {
	d := decision{status: 403}
	switch v := v.(type) {
	case ast.Boolean:
		d.allow = bool(v)
		return d, nil
	case ast.Object:
		return d, errors.Join(
			member(v, "allow", d.readAllow), member(v, "status", d.readStatus), member(v, "headers", d.readHeaders),
			member(v, "response_headers", d.readResponse), member(v, "body", d.readBody), member(v, "identity", d.readIdentity),
		)
	}
	return d, badDecision("expected a boolean or an object")
}

func member(o ast.Object, name string, read func(ast.Value) error) error {
	if t := o.Get(ast.InternedTerm(name)); t != nil {
		return read(t.Value)
	}
	return nil
}

func (d *decision) readAllow(v ast.Value) error {
	allow, ok := v.(ast.Boolean)
	if !ok {
		return badDecision("allow: expected a boolean")
	}
	d.allow = bool(allow)
	return nil
}

func (d *decision) readStatus(v ast.Value) error {
	number, ok := v.(ast.Number)
	status, whole := number.Int()
	if !ok || !whole || status < 300 || status > 599 {
		return badDecision("status: expected an integer from 300 to 599")
	}
	d.status = status
	return nil
}

// readHeaders reads an object of fields; null removes one.
func (d *decision) readHeaders(v ast.Value) (err error) {
	d.headers, d.remove, err = readFields("headers", v)
	return err
}

func (d *decision) readResponse(v ast.Value) error {
	fields, remove, err := readFields("response_headers", v)
	if len(remove) > 0 {
		err = badDecision("response_headers.%s: expected a string", remove[0])
	}
	d.response = fields
	return err
}

func (d *decision) readBody(v ast.Value) error {
	body, isText := v.(ast.String)
	if d.body, d.isJSON = []byte(body), !isText; d.isJSON {
		plain, err := ast.JSON(v)
		if err != nil {
			return badDecision("body: %v", err)
		}
		if d.body, err = json.Marshal(plain); err != nil {
			return badDecision("body: %v", err)
		}
	}
	if len(d.body) > maxBody {
		return badDecision("body: expected at most %d bytes", maxBody)
	}
	return nil
}

// readIdentity reads a subject, or an object with it and more about it.
func (d *decision) readIdentity(v ast.Value) error {
	if subject, ok := v.(ast.String); ok {
		d.subject = string(subject)
		return nil
	}
	object, ok := v.(ast.Object)
	if !ok {
		return badDecision("identity: expected a string or an object")
	}
	return object.Iter(func(k, v *ast.Term) error {
		name, named := k.Value.(ast.String)
		value, isText := v.Value.(ast.String)
		switch {
		case !named || !isText:
			return badDecision("identity: expected strings")
		case name == "subject":
			d.subject = string(value)
		default:
			d.facts = append(d.facts, plugin.Field{Name: string(name), Value: string(value)})
		}
		return nil
	})
}

// readFields reads an object of fields, whose values are strings or arrays of them, or null.
func readFields(where string, v ast.Value) (fields []plugin.Field, remove []string, err error) {
	object, ok := v.(ast.Object)
	if !ok {
		return nil, nil, badDecision("%s: expected an object", where)
	}
	err = object.Iter(func(k, v *ast.Term) error {
		name, ok := k.Value.(ast.String)
		if !ok || !isToken(string(name)) || isFraming(string(name)) {
			return badDecision("%s: expected names of fields that do not frame the message, got %v", where, k)
		}
		values := []*ast.Term{v}
		switch value := v.Value.(type) {
		case ast.Null:
			remove = append(remove, string(name))
			return nil
		case *ast.Array:
			values = values[:0]
			value.Foreach(func(v *ast.Term) { values = append(values, v) })
		}
		for _, v := range values {
			value, ok := v.Value.(ast.String)
			if !ok || strings.ContainsFunc(string(value), breaks) {
				return badDecision("%s.%s: expected a string that a field can have", where, name)
			}
			fields = append(fields, plugin.Field{Name: string(name), Value: string(value)})
		}
		return nil
	})
	return fields, remove, err
}

func breaks(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// isFraming tells the fields that say where a message ends, or to whom it goes.
func isFraming(name string) bool {
	return slices.Contains([]string{
		"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
	}, strings.ToLower(name))
}
