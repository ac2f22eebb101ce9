package manifest

import (
	"fmt"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// isReference reports whether a string stands for an environment variable or
// the content of a file.
func isReference(s string) bool {
	return strings.HasPrefix(s, "env:") || strings.HasPrefix(s, "file:")
}

// dereference returns what a reference stands for. Of a file one line end at
// its end is dropped. What is not there, or empty, is a problem at path: an
// empty secret opens what it was to close.
func (d *decoder) dereference(path, reference string) string {
	if name, ok := strings.CutPrefix(reference, "env:"); ok {
		return d.variable(path, name)
	}
	name := strings.TrimPrefix(reference, "file:")
	if name == "" {
		d.problem(path, "names no file", `write "file:path"`)
		return ""
	}
	text, err := d.readFile(d.absolute(name))
	if err != nil {
		d.problem(path, "file cannot be read: "+cause(err), "name a file that this user may read")
		return ""
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if value == "" {
		d.problem(path, "file is empty: "+d.absolute(name), "write the secret into it")
	}
	return value
}

// variable returns the value of an environment variable.
func (d *decoder) variable(path, name string) string {
	if !isVariableName(name) {
		d.problem(path, fmt.Sprintf("%q is not the name of a variable", name), `write "env:NAME" with letters, digits and _`)
		return ""
	}
	value, ok := d.lookup(name)
	if !ok || value == "" {
		d.problem(path, "environment variable "+name+" is not set or empty", "set "+name+`, or use "file:path"`)
	}
	return value
}

func isVariableName(name string) bool {
	return place.IsBareKey(name) && !strings.Contains(name, "-") && (name[0] < '0' || name[0] > '9')
}
