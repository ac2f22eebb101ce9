package guest

import (
	"encoding/binary"
	"errors"
	"strings"
)

// ErrUntold says that a purge was done here, and that other hosts will hear of it when
// that is possible.
var ErrUntold = errors.New("other hosts could not be told of the purge yet")

// ErrCacheFull says that the cache has no room, or the host too much to do.
var ErrCacheFull = errors.New("the cache has no room at the moment")

// CacheEntry is one response of those that were looked up. Its body never comes
// here.
type CacheEntry struct {
	Status        int
	Purged        bool   // softly: it is to be taken for stale
	Waited        bool   // the exchange has waited for another (CacheWaits)
	Size          uint64 // of the body
	Meta, Variant string // as it was stored
}

// CacheHead is what is stored of a response beside its body.
type CacheHead struct {
	Key     string   // 1 to 2048 bytes
	Variant string   // at most 1 KiB; an entry with the same key and variant is replaced
	Meta    string   // the policy's own, at most 4 KiB
	Tags    []string // to purge it by
	LeftOut []string // names of fields that are not stored
}

// CacheJoined is what becomes of an exchange whose key others may be fetching.
type CacheJoined uint32

const (
	// CacheLeads: it fetches for all, who wait until it stores, releases or ends.
	CacheLeads CacheJoined = 0
	// CacheAlone: it has waited, and goes on by itself.
	CacheAlone CacheJoined = 2
	// CacheWaits: the policy returns at once, whatever with, and is asked about the
	// request anew when there is something to look up.
	CacheWaits CacheJoined = 3
)

// CacheSelector says what a purge is about.
type CacheSelector uint32

// Selectors of CachePurge.
const (
	CacheKey    CacheSelector = iota // all entries of a key
	CachePrefix                      // of keys that begin so
	CacheTag                         // that have a tag
)

// CacheScheme returns what the client speaks: "http" or "https". All functions of
// this file need the grant ergo_cache.
func CacheScheme() string { return string(read(cacheScheme)) }

// CacheLookup looks up what is stored under a key and returns how many entries
// there are, the newest first. They stay with the exchange, also in the response
// phase.
func CacheLookup(key string) int { return max(0, int(cacheLookup(key))) }

// CacheGet returns an entry of what was looked up.
func CacheGet(i int) (e CacheEntry, found bool) {
	blob, found := readFound(func(buf []byte) uint32 { return cacheEntry(uint32(i), buf) })
	if !found || len(blob) < 12 {
		return CacheEntry{}, false
	}
	head := []byte(blob[:12])
	e.Status = int(binary.LittleEndian.Uint16(head))
	e.Purged, e.Waited = head[2]&1 != 0, head[2]&2 != 0
	e.Size = binary.LittleEndian.Uint64(head[4:])
	e.Meta, blob = cutText(blob[12:])
	e.Variant, _ = cutText(blob)
	return e, true
}

// cutText cuts a text off that begins with its length.
func cutText(blob string) (text, rest string) {
	if len(blob) < 4 {
		return "", ""
	}
	length := int(binary.LittleEndian.Uint32([]byte(blob[:4])))
	blob = blob[4:]
	length = min(length, len(blob))
	return blob[:length], blob[length:]
}

// CacheFields returns the fields of an entry, name and value by turns, names in
// lower case.
func CacheFields(i int) []string {
	joined, found := readFound(func(buf []byte) uint32 { return uint32(cacheFields(uint32(i), buf)) })
	if !found || joined == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(joined, "\x00"), "\x00")
}

// CacheServe makes the exchange's response from an entry: its fields, a status, and
// length bytes of its body from offset on, -1 for all that is left. Fields can be
// changed after that; in the request phase the policy then returns Answer.
func CacheServe(i, status int, offset, length int64) error {
	return cacheError(cacheServe(uint32(i), uint32(status), offset, length))
}

// CacheSlice is bytes of the body of an entry.
type CacheSlice struct {
	Entry          int
	Offset, Length int64
}

// CacheCompose is as CacheServe, with a body of slices of up to 64 entries, one after
// another.
func CacheCompose(i, status int, slices ...CacheSlice) error {
	list := make([]byte, 0, 20*len(slices))
	for _, s := range slices {
		list = binary.LittleEndian.AppendUint32(list, uint32(s.Entry))
		list = binary.LittleEndian.AppendUint64(list, uint64(s.Offset))
		list = binary.LittleEndian.AppendUint64(list, uint64(s.Length))
	}
	return cacheError(cacheCompose(uint32(i), uint32(status), string(list)))
}

// CacheStore has the host store the response at hand as it passes, in the response
// phase. It is there once it is whole.
func CacheStore(head CacheHead) error {
	return cacheError(cacheStore(head, list(head.Tags), list(head.LeftOut)))
}

// CacheUpdate gives an entry other fields, name and value by turns, and other words
// of the policy's own. CacheServe serves those.
func CacheUpdate(i int, fields []string, meta string) error {
	return cacheError(cacheUpdate(uint32(i), list(fields), meta))
}

// CacheJoin joins those that want what a key stands for; all waits of an exchange
// together take at most timeoutMS milliseconds. No instance waits with them.
func CacheJoin(key string, timeoutMS uint32) CacheJoined {
	return CacheJoined(cacheJoin(key, timeoutMS))
}

// CacheRelease lets those go on that wait for this exchange: there is nothing to
// share.
func CacheRelease() { cacheRelease() }

// CacheRefresh has the request repeated in the background, from this policy on, to
// renew what was looked up, unless that is under way.
func CacheRefresh() error { return cacheError(cacheRefresh()) }

// CacheIsRefresh says whether the exchange is one that CacheRefresh began.
func CacheIsRefresh() bool { return cacheIsRefresh() != 0 }

// CachePurge removes entries or, soft, has them taken for stale, and returns how many
// there were in this process.
func CachePurge(what CacheSelector, text string, soft bool) (int, error) {
	switch n := cachePurge(uint32(what), text, soft); {
	case n >= 0:
		return int(n), nil
	case n == -1:
		return 0, ErrBadArgument
	}
	return 0, ErrUntold
}

// CacheRemember leaves up to 8 KiB with the exchange for the response phase.
func CacheRemember(memo string) error { return cacheError(cacheRemember(memo)) }

// CacheRecall returns what was left.
func CacheRecall() string { return string(read(cacheRecall)) }

// list ends every text with NUL.
func list(texts []string) string {
	var joined strings.Builder
	for _, text := range texts {
		joined.WriteString(text)
		joined.WriteByte(0)
	}
	return joined.String()
}

func cacheError(status uint32) error {
	switch status {
	case 0:
		return nil
	case 1:
		return ErrNotFound
	case 2:
		return ErrBadArgument
	case 3:
		return ErrTooLate
	}
	return ErrCacheFull
}
