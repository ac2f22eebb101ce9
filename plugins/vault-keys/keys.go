package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// kv is where keys are: an engine of kind KV in its version 2.
type kv struct {
	Mount  string `json:"mount"`
	Prefix string `json:"prefix"` // of the names that keys have there
	Field  string `json:"field"`  // that holds the key
	Settle string `json:"settle"` // how old a version must be to become the primary
}

// maxVersions is how many versions of a key the host takes.
const maxVersions = 16

// version is one of a secret.
type version struct {
	number  int
	created time.Time
}

// Keys follows plugin.KeySource: the versions of a key are those of a secret that are not deleted, of more than
// 16 the newest. The primary is the newest one that is old enough for all who share the key to have it; if
// none is, the oldest.
func (v *vault) Keys(ctx context.Context, name string) ([]plugin.KeyVersion, error) {
	if v.KV == nil {
		return nil, errors.New("config.kv is missing: it says where keys are")
	}
	path := escape(v.KV.Prefix + name)
	known, err := v.versions(ctx, path)
	if err != nil {
		return nil, err
	}
	var keys []plugin.KeyVersion
	for _, one := range primaryFirst(known, time.Now().Add(-v.settle)) {
		key, err := v.key(ctx, path, one.number)
		if err != nil {
			return nil, err
		}
		keys = append(keys, plugin.KeyVersion{ID: "v" + strconv.Itoa(one.number), Material: key})
	}
	return keys, nil
}

// versions lists those of a secret that are not deleted, the newest first.
func (v *vault) versions(ctx context.Context, path string) ([]version, error) {
	var answer struct {
		Data struct {
			Versions map[string]struct {
				Created   time.Time `json:"created_time"`
				Deleted   string    `json:"deletion_time"`
				Destroyed bool      `json:"destroyed"`
			} `json:"versions"`
		} `json:"data"`
	}
	if err := v.session.use(ctx, nil, "GET", escape(v.KV.Mount)+"/metadata/"+path, nil, &answer); err != nil {
		return nil, err
	}
	var known []version
	for text, one := range answer.Data.Versions {
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 {
			return nil, fmt.Errorf("%.20q is not the number of a version", text)
		}
		if one.Deleted == "" && !one.Destroyed {
			known = append(known, version{number, one.Created})
		}
	}
	if len(known) == 0 {
		return nil, errors.New("all its versions are deleted")
	}
	slices.SortFunc(known, func(a, b version) int { return cmp.Compare(b.number, a.number) })
	return known[:min(len(known), maxVersions)], nil
}

// primaryFirst puts the newest version that was created by then before the others.
func primaryFirst(known []version, then time.Time) []version {
	primary := slices.IndexFunc(known, func(v version) bool { return !v.created.After(then) })
	if primary < 0 {
		primary = len(known) - 1
	}
	first := known[primary]
	return append([]version{first}, slices.Delete(slices.Clone(known), primary, primary+1)...)
}

// key reads one version.
func (v *vault) key(ctx context.Context, path string, number int) ([]byte, error) {
	var answer struct {
		Data struct {
			Data map[string]any `json:"data"`
		} `json:"data"`
	}
	at := escape(v.KV.Mount) + "/data/" + path + "?version=" + strconv.Itoa(number)
	if err := v.session.use(ctx, nil, "GET", at, nil, &answer); err != nil {
		return nil, err
	}
	text, ok := answer.Data.Data[v.KV.Field].(string)
	if !ok {
		return nil, fmt.Errorf("version %d has no text %q", number, v.KV.Field)
	}
	return []byte(text), nil
}
