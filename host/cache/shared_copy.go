package cache

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/ergoproxy/ergo/host/exchange"
)

// sharedCopy is an entry to be sent to the server.
type sharedCopy struct {
	space, key string
	entry      *Entry
	body       []byte
	place      string
}

// recordCopy is a record's kind, beside those of the index: what follows it is the body.
const recordCopy = 3

// maxSharedSet bounds what is taken at once of what is under a key.
const maxSharedSet = 4 << 20

// offer has an entry sent to the server soon, if its host followed the log when it
// began to store it, and it is small and in memory.
func (sh *shared) offer(it *item, e *Entry, place string) {
	if sh == nil || place == "" || e.Size > SharedEntryBytes {
		return
	}
	data := it.body.data.Load()
	if data == nil {
		return
	}
	if sh.queued.Add(e.Size) <= maxCopyBytes {
		select {
		case sh.copies <- sharedCopy{space: it.space.name, key: it.key, entry: e, body: *data, place: place}:
			return
		default:
		}
	}
	sh.queued.Add(-e.Size)
	sh.unsent.Add(1)
}

// putScript stores a copy in a hash of those under its key.
var putScript = redis.NewScript(`
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
	redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])`)

// getScript returns the copies under a key, up to a sum of bytes.
var getScript = redis.NewScript(`
local copies, left = {}, tonumber(ARGV[1])
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
	left = left - redis.call('HSTRLEN', KEYS[1], name)
	if left < 0 or #copies == tonumber(ARGV[2]) then
		break
	end
	copies[#copies + 1] = redis.call('HGET', KEYS[1], name)
end
return copies`)

// send sends what was offered until ctx ends.
func (sh *shared) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-sh.copies:
			key, text := []string{sh.key(c.space, c.key)}, appendCopy(nil, c)
			err := sh.redis.Do(ctx, func(ctx context.Context) error {
				return putScript.Run(ctx, sh.redis.Client(), key, c.entry.Variant, text, sharedTTL.Milliseconds(), MaxVariants).Err()
			})
			sh.queued.Add(-c.entry.Size)
			if err != nil {
				sh.unsent.Add(1)
			} else {
				sh.sent.Add(1)
			}
		}
	}
}

func appendCopy(b []byte, c sharedCopy) []byte {
	p := stored{sum: crc32.Checksum(c.body, castagnoli), space: c.space, key: c.key, entry: c.entry}
	b = appendRecord(b, recordCopy, func(b []byte) []byte { return appendStored(appendText(b, c.place), p) })
	return append(b, c.body...)
}

// decodeCopy reads what appendCopy wrote, and trusts nothing of it.
func decodeCopy(text []byte) (sharedCopy, error) {
	r := bytes.NewReader(text)
	content, err := readRecord(r, nil)
	if err != nil || content[0] != recordCopy {
		return sharedCopy{}, errRecord
	}
	d := &decoder{text: string(content[1:])}
	place := d.string()
	p, err := decodeStored(d)
	if err != nil {
		return sharedCopy{}, err
	}
	body := text[len(text)-r.Len():]
	e := p.entry
	if int64(len(body)) != e.Size || crc32.Checksum(body, castagnoli) != p.sum || place == "" ||
		!soundFields(e.Header.Fields()) || !soundFields(e.Trailer) {
		return sharedCopy{}, errRecord
	}
	return sharedCopy{space: p.space, key: p.key, entry: e, body: body, place: place}, nil
}

// soundFields reports whether fields can be sent: a record's checksum is no signature.
func soundFields(fields []exchange.Field) bool {
	for _, f := range fields {
		if !exchange.ValidName(f.Name) || !exchange.ValidValue(f.Value) || exchange.FramesMessage(f.Name) {
			return false
		}
	}
	return true
}

// Shared reports whether other hosts may have what is not here, and are told of
// purges, so that Fetch and Purge wait for a server.
func (sp *Space) Shared() bool { return sp.store.shared != nil }

// Fetch returns what other hosts have stored under a key under which Lookup has
// found nothing, and keeps it. It waits for the server as long as ctx and the
// server's timeout last; that it is gone is as good as nothing found. The caller
// closes the Set.
func (sp *Space) Fetch(ctx context.Context, key string) Set {
	sh := sp.store.shared
	if sh == nil || len(key) > MaxKeyBytes {
		return Set{}
	}
	if !sh.fetch(ctx, sp, key) {
		sh.misses.Add(1)
		return Set{}
	}
	sh.hits.Add(1)
	return sp.look(key)
}

// fetch brings copies here, and reports whether there was one.
func (sh *shared) fetch(ctx context.Context, sp *Space, key string) bool {
	s := sh.store
	s.mu.Lock()
	since, here := s.purges.last, sh.here() // what is purged from now on is seen when a copy is stored here
	s.mu.Unlock()
	if here == "" {
		return false
	}
	copies, err := sh.copiesOf(ctx, sp.name, key)
	if err != nil || len(copies) == 0 {
		return false
	}
	oldest := copies[0].place
	for _, c := range copies {
		if before(c.place, oldest) {
			oldest = c.place
		}
	}
	places, records, err := sh.since(ctx, oldest)
	if err != nil {
		return false
	}
	found := false
	for _, c := range copies {
		i, known := places[c.place]
		if !known || !judge(&c, records[i+1:]) {
			continue
		}
		found = sp.adopt(c, since) || found
	}
	return found
}

func (sh *shared) copiesOf(ctx context.Context, space, key string) ([]sharedCopy, error) {
	var texts []string
	err := sh.redis.Do(ctx, func(ctx context.Context) error {
		var err error
		texts, err = getScript.Run(ctx, sh.redis.Client(), []string{sh.key(space, key)}, maxSharedSet, MaxVariants).StringSlice()
		return err
	})
	var copies []sharedCopy
	for _, text := range texts {
		if c, err := decodeCopy([]byte(text)); err == nil && c.space == space && c.key == key {
			copies = append(copies, c)
		}
	}
	return copies, err
}

var errLogGone = errors.New("the log of purges does not reach back as far")

// since returns the log from a place on, and where in it which place is.
func (sh *shared) since(ctx context.Context, place string) (map[string]int, []redis.XMessage, error) {
	var records []redis.XMessage
	err := sh.redis.Do(ctx, func(ctx context.Context) error {
		var err error
		records, err = sh.redis.Client().XRangeN(ctx, sh.log(), place, "+", maxSince+1).Result()
		return err
	})
	if err == nil && len(records) > maxSince {
		err = errLogGone
	}
	places := make(map[string]int, len(records))
	for i, r := range records {
		places[r.ID] = i
	}
	return places, records, err
}

// before compares places, "milliseconds-number".
func before(a, b string) bool {
	at, an, _ := strings.Cut(a, "-")
	bt, bn, _ := strings.Cut(b, "-")
	less := func(x, y string) bool { return len(x) < len(y) || len(x) == len(y) && x < y }
	return less(at, bt) || at == bt && less(an, bn)
}

// judge marks a copy as the records after its place have it, and reports whether it
// is still there.
func judge(c *sharedCopy, records []redis.XMessage) bool {
	for _, m := range records {
		p, ok := purgeOf(m)
		switch {
		case !ok || p.all:
			return false
		case p.idle() || p.space != c.space || !p.matches(c.key, c.entry):
		case !p.soft:
			return false
		default:
			c.entry.Purged = true
		}
	}
	return true
}

// adopt stores a copy here, unless something of its variant was stored meanwhile,
// and reports whether there is something then.
func (sp *Space) adopt(c sharedCopy, since uint64) bool {
	w := &Writer{space: sp, key: strings.Clone(c.key), entry: c.entry, since: since, limit: sp.store.options.EntryBytes, yields: true}
	defer w.Abort()
	if _, err := w.Write(c.body); err != nil {
		return false
	}
	_, err := w.commit(nil)
	return err == nil
}
