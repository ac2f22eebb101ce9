package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// cryptoCapability is the capability module by which a policy uses keys.
const cryptoCapability = "ergo_crypto"

// maxKeys bounds the keys of a manifest, and those of a policy.
const maxKeys = 64

// keySources read the material of a key by the scheme of its reference. The slice is
// the caller's, who zeroes it.
var keySources = map[string]func(d *decoder, path, rest string) []byte{
	"env": func(d *decoder, path, name string) []byte { return []byte(d.variable(path, name)) },
	"file": func(d *decoder, path, name string) []byte {
		if name == "" {
			d.problem(path, "names no file", `write "file:path"`)
			return nil
		}
		material, err := d.readFile(d.absolute(name))
		if err != nil {
			d.problem(path, "file cannot be read: "+cause(err), "name a file that this user may read")
		} else if len(material) == 0 {
			d.problem(path, "file is empty: "+d.absolute(name), "write the key into it")
		}
		return material
	},
}

// keys reads and checks the material of all keys. What it has read the manifest
// holds, also if something is wrong.
func (v *validator) keys() {
	names := slices.Sorted(maps.Keys(v.m.Keys))
	if len(names) > maxKeys {
		v.problem("key", fmt.Sprintf("has %d keys", len(names)), fmt.Sprintf("at most %d", maxKeys))
		return
	}
	v.m.keys = make(map[string]*keyring.Key, len(names))
	for _, name := range names {
		path := place.Key("key", name)
		if v.failed[path] || v.failed[place.Key(path, "algorithm")] || v.failed[place.Key(path, "encoding")] {
			continue
		}
		v.name(path, name)
		key := v.m.Keys[name]
		if key.Encoding == "" {
			key.Encoding = keyring.DefaultEncoding(key.Algorithm)
		}
		if key.Source != nil {
			v.keySource(path, name, &key)
		} else if made := v.key(path, &key); made != nil {
			v.m.keys[name] = made
			key.fingerprint = made.Fingerprint()
		}
		v.m.Keys[name] = key
	}
}

// key reads the versions of a key; nil if one of them cannot be had.
func (v *validator) key(path string, key *Key) *keyring.Key {
	at := place.Key(path, "versions")
	ids := slices.Sorted(maps.Keys(key.Versions))
	if v.failed[at] {
		return nil
	}
	if key.Versions == nil && !v.failed[place.Key(path, "source")] {
		v.problem(at, "is missing", fmt.Sprintf("write 1 to %d versions, or a source", keyring.MaxVersions))
		return nil
	}
	if len(ids) == 0 || len(ids) > keyring.MaxVersions {
		v.problem(at, fmt.Sprintf("has %d versions", len(ids)), fmt.Sprintf("write 1 to %d", keyring.MaxVersions))
		return nil
	}
	switch _, known := key.Versions[key.Primary]; {
	case key.Primary == "" && len(ids) == 1:
		key.Primary = ids[0]
	case key.Primary == "":
		v.problem(place.Key(path, "primary"), "is missing", "name the version that seals and signs")
	case !known:
		v.problem(place.Key(path, "primary"), fmt.Sprintf("there is no version %q", key.Primary), DidYouMean(key.Primary, ids))
	}
	var versions []*keyring.Version
	for _, id := range ids {
		if version := v.version(place.Key(at, id), key, id); version != nil && id == key.Primary {
			versions = slices.Insert(versions, 0, version)
		} else if version != nil {
			versions = append(versions, version)
		}
	}
	if len(versions) < len(ids) || v.failed[place.Key(path, "primary")] {
		for _, version := range versions {
			version.Wipe()
		}
		return nil
	}
	return keyring.NewKey(key.Algorithm, versions...)
}

// keySource checks where the versions of a key are to come from.
func (v *validator) keySource(path, name string, key *Key) {
	at := place.Key(path, "source")
	if len(key.Versions) > 0 || key.Primary != "" {
		v.problem(at, "cannot be beside versions and primary", "keep one: the source says which versions there are, the primary first")
	}
	if v.anyFailed(at) {
		return
	}
	if key.Source.Name == "" {
		key.Source.Name = name
	}
	v.policyName(place.Key(at, "policy"), key.Source.Policy)
	if len(v.m.Policies[key.Source.Policy].Keys) > 0 {
		v.problem(place.Key(at, "policy"), "policy "+key.Source.Policy+" has keys itself", "name one without: a source of keys comes before all keys")
	}
}

// version reads one version of a key.
func (v *validator) version(path string, key *Key, id string) *keyring.Version {
	v.name(path, id)
	if v.failed[path] {
		return nil
	}
	scheme, rest, _ := strings.Cut(key.Versions[id], ":")
	read := keySources[scheme]
	if read == nil {
		v.problem(path, "is not a reference", `write "env:NAME" or "file:path": a key does not stand in a manifest`)
		return nil
	}
	material := read(v.decoder, path, rest)
	defer clear(material)
	if v.failed[path] {
		return nil
	}
	version, err := keyring.Parse(key.Algorithm, key.Encoding, id, material)
	if err != nil {
		wrong := &keyring.Error{Wrong: "is no key that can be used", Right: "write one for " + key.Algorithm}
		errors.As(err, &wrong)
		v.problem(path, wrong.Wrong, wrong.Right)
		return nil
	}
	return version
}

// keyUses checks what a policy may do with which keys.
func (v *validator) keyUses(path string, p Policy) {
	at := place.Key(path, "keys")
	if len(p.Keys) > maxKeys {
		v.problem(at, fmt.Sprintf("has %d keys", len(p.Keys)), fmt.Sprintf("at most %d", maxKeys))
	}
	if len(p.Keys) > 0 && !slices.Contains(p.Grants, cryptoCapability) {
		v.problem(at, "has keys that the policy cannot use", "add "+cryptoCapability+" to its grants, or remove them")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Keys)) {
		use := place.Key(at, name)
		v.name(use, name)
		v.keyUse(use, p.Keys[name])
	}
}

func (v *validator) keyUse(path string, use KeyUse) {
	key, known := v.m.Keys[use.Key]
	if !known {
		if use.Key != "" {
			v.problem(place.Key(path, "key"), fmt.Sprintf("there is no key %q", use.Key), DidYouMean(use.Key, slices.Collect(maps.Keys(v.m.Keys))))
		}
		return
	}
	for i, name := range use.Use {
		at := place.Element(place.Key(path, "use"), i)
		one, isUse := keyring.ParseUse(name)
		made := v.m.keys[use.Key]
		switch {
		case !isUse:
			v.problem(at, fmt.Sprintf("there is no use %q", name), DidYouMean(name, keyring.UseNames(^keyring.Use(0))))
		case keyring.UsesOf(key.Algorithm)&one == 0 && keyring.UsesOf(key.Algorithm) != 0:
			v.problem(at, key.Algorithm+" cannot "+name, "write "+strings.Join(keyring.UseNames(keyring.UsesOf(key.Algorithm)), " or "))
		case made != nil && made.Can()&one == 0:
			v.problem(at, "key "+use.Key+" is public: it cannot "+name, "give it a private key, or remove the use")
		}
	}
}

// unusedKeys warns of keys that no policy is granted.
func (v *validator) unusedKeys() {
	used := make(map[string]bool)
	for _, p := range v.m.Policies {
		for _, use := range p.Keys {
			used[use.Key] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.m.Keys)) {
		if !used[name] {
			v.warn(place.Key("key", name), "no policy is granted it", "grant it in the keys of a policy, or remove it")
		}
	}
}
