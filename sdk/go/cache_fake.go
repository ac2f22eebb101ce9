//go:build !wasip1

package guest

import (
	"encoding/binary"
	"slices"
	"strings"
)

// FakeCache is what ergo_cache holds in a Fake. Whoever joins leads, unless told
// otherwise.
type FakeCache struct {
	Stored     []FakeStored // the newest first
	Scheme     string       // "": http
	Joining    CacheJoined  // what joining comes to
	Joined     []string     // keys that were joined
	Released   int          // how often
	Refreshed  int          // how often
	IsRefresh  bool
	Waited     bool // the exchange has waited for another
	Untold     bool // other hosts can't be told of purges
	Remembered string

	found []int // what was looked up, by its place in Stored
}

// FakeStored is a stored response.
type FakeStored struct {
	CacheHead
	Status int
	Fields []Field
	Body   string
	Purged bool
}

func (c *FakeCache) entry(i uint32) *FakeStored {
	if int(i) >= len(c.found) || c.found[i] >= len(c.Stored) {
		return nil
	}
	return &c.Stored[c.found[i]]
}

func cacheScheme(buf []byte) uint32 {
	if current.Cache.Scheme == "" {
		return give("http", buf)
	}
	return give(current.Cache.Scheme, buf)
}

func cacheLookup(key string) int32 {
	c := &current.Cache
	c.found = nil
	if key == "" || len(key) > 2048 {
		return -1
	}
	for i := range c.Stored {
		if c.Stored[i].Key == key {
			c.found = append(c.found, i)
		}
	}
	return int32(len(c.found))
}

func cacheEntry(i uint32, buf []byte) uint32 {
	e := current.Cache.entry(i)
	if e == nil {
		return none
	}
	blob := binary.LittleEndian.AppendUint16(nil, uint16(e.Status))
	flags := uint16(0)
	if e.Purged {
		flags |= 1
	}
	if current.Cache.Waited {
		flags |= 2
	}
	blob = binary.LittleEndian.AppendUint16(blob, flags)
	blob = binary.LittleEndian.AppendUint64(blob, uint64(len(e.Body)))
	for _, text := range []string{e.Meta, e.Variant} {
		blob = append(binary.LittleEndian.AppendUint32(blob, uint32(len(text))), text...)
	}
	return give(string(blob), buf)
}

func cacheFields(i uint32, buf []byte) uint64 {
	e := current.Cache.entry(i)
	if e == nil {
		return 1<<64 - 1
	}
	var joined strings.Builder
	for _, f := range e.Fields {
		joined.WriteString(strings.ToLower(f.Name) + "\x00" + f.Value + "\x00")
	}
	return uint64(len(e.Fields))<<32 | uint64(give(joined.String(), buf))
}

func cacheServe(i, status uint32, offset, length int64) uint32 {
	e := current.Cache.entry(i)
	switch {
	case e == nil:
		return 1
	case status < 200 || status > 599 || offset < 0 || offset > int64(len(e.Body)) || length < -1:
		return 2
	}
	left := int64(len(e.Body)) - offset
	if length < 0 || length > left {
		length = left
	}
	current.Status, current.ResponseHeader = int(status), slices.Clone(e.Fields)
	current.ResponseBody = e.Body[offset : offset+length]
	return 0
}

func cacheCompose(i, status uint32, list string) uint32 {
	e := current.Cache.entry(i)
	if e == nil {
		return 1
	}
	if status < 200 || status > 599 || len(list)%20 != 0 || len(list) > 64*20 {
		return 2
	}
	var body strings.Builder
	for rest := []byte(list); len(rest) > 0; rest = rest[20:] {
		from := current.Cache.entry(binary.LittleEndian.Uint32(rest))
		offset, length := binary.LittleEndian.Uint64(rest[4:]), binary.LittleEndian.Uint64(rest[12:])
		if from == nil {
			return 1
		}
		if size := uint64(len(from.Body)); offset > size || length > size-offset {
			return 2
		}
		body.WriteString(from.Body[offset : offset+length])
	}
	current.Status, current.ResponseHeader, current.ResponseBody = int(status), slices.Clone(e.Fields), body.String()
	return 0
}

func cacheStore(head CacheHead, _, _ string) uint32 {
	if head.Key == "" || len(head.Key) > 2048 || len(head.Variant) > 1024 || len(head.Meta) > 4096 {
		return 2
	}
	c := &current.Cache
	c.Stored = slices.DeleteFunc(c.Stored, func(e FakeStored) bool { return e.Key == head.Key && e.Variant == head.Variant })
	fields := slices.DeleteFunc(slices.Clone(current.ResponseHeader), func(f Field) bool {
		return slices.ContainsFunc(head.LeftOut, func(name string) bool { return strings.EqualFold(name, f.Name) })
	})
	stored := FakeStored{CacheHead: head, Status: current.Status, Fields: fields, Body: current.ResponseBody}
	c.Stored = slices.Insert(c.Stored, 0, stored)
	return 0
}

func cacheUpdate(i uint32, fields, meta string) uint32 {
	e := current.Cache.entry(i)
	if e == nil {
		return 1
	}
	e.Fields, e.Meta = nil, meta
	pairs := strings.Split(fields, "\x00")
	for n := 0; n+1 < len(pairs); n += 2 {
		e.Fields = append(e.Fields, Field{pairs[n], pairs[n+1]})
	}
	return 0
}

func cacheJoin(key string, _ uint32) uint32 {
	current.Cache.Joined = append(current.Cache.Joined, key)
	return uint32(current.Cache.Joining)
}

func cacheRelease() { current.Cache.Released++ }

func cacheRefresh() uint32 {
	current.Cache.Refreshed++
	return 0
}

func cacheIsRefresh() uint32 {
	if current.Cache.IsRefresh {
		return 1
	}
	return 0
}

func cachePurge(kind uint32, text string, soft bool) int32 {
	if kind > uint32(CacheTag) {
		return -1
	}
	c, n := &current.Cache, int32(0)
	var kept []FakeStored
	for _, e := range c.Stored {
		hit := [...]bool{e.Key == text, strings.HasPrefix(e.Key, text), slices.Contains(e.Tags, text)}[kind]
		if hit {
			n++
			e.Purged = true
		}
		if !hit || soft {
			kept = append(kept, e)
		}
	}
	c.Stored, c.found = kept, nil
	if c.Untold {
		return -2
	}
	return n
}

func cacheRemember(memo string) uint32 {
	if len(memo) > 8<<10 {
		return 2
	}
	current.Cache.Remembered = memo
	return 0
}

func cacheRecall(buf []byte) uint32 { return give(current.Cache.Remembered, buf) }
