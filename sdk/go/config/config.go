// Package config reads a policy's configuration strictly and without
// encoding/json, which would double the size of a wasm module. Errors name the
// place: "config.keys[2].key: expected a string".
package config

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Object is a JSON object that remembers which members were asked for, and every
// problem that was met: read all members, then look at Err.
type Object struct {
	path     string
	members  map[string]any
	asked    map[string]bool
	children []*Object
	errs     *[]error // of the whole configuration
}

// Parse reads a configuration; no bytes at all mean {}.
func Parse(text []byte) (*Object, error) {
	var errs []error
	if len(text) == 0 {
		return newObject("config", map[string]any{}, &errs), nil
	}
	value, err := parse(text)
	if err != nil {
		return nil, errors.New("config: " + err.Error())
	}
	members, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("config: expected an object")
	}
	return newObject("config", members, &errs), nil
}

func newObject(path string, members map[string]any, errs *[]error) *Object {
	return &Object{path: path, members: members, asked: map[string]bool{}, errs: errs}
}

// Err returns every problem of the configuration so far, members that nobody
// asked for included; nil when there is none.
func (o *Object) Err() error {
	o.refuseUnknown()
	return errors.Join(*o.errs...)
}

func (o *Object) refuseUnknown() {
	for _, key := range slices.Sorted(maps.Keys(o.members)) {
		if !o.asked[key] {
			o.asked[key] = true
			o.Refuse(key, "is not a known key")
		}
	}
	for _, child := range o.children {
		child.refuseUnknown()
	}
}

// Refuse adds a problem with the member named key.
func (o *Object) Refuse(key, problem string) {
	*o.errs = append(*o.errs, errors.New(o.path+"."+key+": "+problem))
}

func (o *Object) get(key string) (any, bool) {
	o.asked[key] = true
	value, found := o.members[key]
	return value, found
}

// Has says whether there is a member named key.
func (o *Object) Has(key string) bool {
	_, found := o.members[key]
	return found
}

// Text returns the text named key, or otherwise.
func (o *Object) Text(key, otherwise string) string {
	value, found := o.get(key)
	if !found {
		return otherwise
	}
	text, ok := value.(string)
	if !ok {
		o.Refuse(key, "expected a string")
	}
	return text
}

// Bool returns the boolean named key, or otherwise.
func (o *Object) Bool(key string, otherwise bool) bool {
	value, found := o.get(key)
	if !found {
		return otherwise
	}
	boolean, ok := value.(bool)
	if !ok {
		o.Refuse(key, "expected true or false")
	}
	return boolean
}

// Int returns the whole number from low to high named key, or otherwise.
func (o *Object) Int(key string, otherwise, low, high int) int {
	value, found := o.get(key)
	if !found {
		return otherwise
	}
	digits, _ := value.(number)
	n, err := strconv.Atoi(string(digits))
	if err != nil || n < low || n > high {
		o.Refuse(key, "expected a whole number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
	}
	return n
}

// Milliseconds returns the duration member named key in milliseconds, or otherwise: a
// whole number with its unit, ms, s, m, h or d, from low to high milliseconds.
func (o *Object) Milliseconds(key string, otherwise, low, high uint64) uint64 {
	value, found := o.get(key)
	if !found {
		return otherwise
	}
	text, _ := value.(string)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	unit := map[string]uint64{"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || unit == 0 || n*unit < low || n*unit > high {
		o.Refuse(key, "expected a duration such as 250ms, 5s, 2m or 1h, from "+strconv.FormatUint(low, 10)+"ms to "+
			strconv.FormatUint(high, 10)+"ms")
	}
	return n * unit
}

// Texts returns the list of texts named key, or nil.
func (o *Object) Texts(key string) []string {
	value, found := o.get(key)
	if !found {
		return nil
	}
	elements, ok := value.([]any)
	if !ok {
		o.Refuse(key, "expected a list")
		return nil
	}
	texts := make([]string, len(elements))
	for i, element := range elements {
		if texts[i], ok = element.(string); !ok {
			o.Refuse(key+"["+strconv.Itoa(i)+"]", "expected a string")
		}
	}
	return texts
}

// Object returns the object named key, or an empty one.
func (o *Object) Object(key string) *Object {
	value, found := o.get(key)
	members, ok := value.(map[string]any)
	if found && !ok {
		o.Refuse(key, "expected an object")
	}
	child := newObject(o.path+"."+key, members, o.errs)
	o.children = append(o.children, child)
	return child
}
