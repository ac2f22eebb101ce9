package shared

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/ergoproxy/ergo/host/cache"
)

// maxSetBytes bounds what is taken at once of what is under a key.
const maxSetBytes = 4 << 20

// offered is a copy to be sent to the server, or one that came from there: with the
// place in the log that its host had reached when it asked for it.
type offered struct {
	cache.Copy
	place string
}

func (p *Peers) key(space, key string) string { return p.base + "of:" + space + ":" + key }

// Place follows cache.Peers: it returns the place in the log, "" while it is not followed.
func (p *Peers) Place() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.joined {
		return ""
	}
	return p.place
}

// Offer follows cache.Peers: what is small is sent to the server soon.
func (p *Peers) Offer(place string, c cache.Copy) {
	if c.Entry.Size > EntryBytes {
		return
	}
	if p.queued.Add(c.Entry.Size) <= maxCopyBytes {
		select {
		case p.copies <- offered{Copy: c, place: place}:
			return
		default:
		}
	}
	p.queued.Add(-c.Entry.Size)
	p.unsent.Add(1)
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
func (p *Peers) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-p.copies:
			key, text := []string{p.key(c.Space, c.Key)}, cache.AppendCopy(nil, c.place, c.Copy)
			err := p.redis.Do(ctx, func(ctx context.Context) error {
				return putScript.Run(ctx, p.redis.Client(), key, c.Entry.Variant, text, copyTTL.Milliseconds(), cache.MaxVariants).Err()
			})
			p.queued.Add(-c.Entry.Size)
			if err != nil {
				p.unsent.Add(1)
			} else {
				p.sent.Add(1)
			}
		}
	}
}

// Fetch follows cache.Peers. It waits as long as ctx and the server's timeout last.
func (p *Peers) Fetch(ctx context.Context, space, key string) []cache.Copy {
	found := p.fetch(ctx, space, key)
	if len(found) == 0 {
		p.misses.Add(1)
	} else {
		p.hits.Add(1)
	}
	return found
}

// fetch returns the copies that were not purged.
func (p *Peers) fetch(ctx context.Context, space, key string) []cache.Copy {
	if p.Place() == "" {
		return nil
	}
	copies, err := p.copiesOf(ctx, space, key)
	if err != nil || len(copies) == 0 {
		return nil
	}
	oldest := copies[0].place
	for _, c := range copies {
		if before(c.place, oldest) {
			oldest = c.place
		}
	}
	places, records, err := p.since(ctx, oldest)
	if err != nil {
		return nil
	}
	var found []cache.Copy
	for _, c := range copies {
		if i, known := places[c.place]; known && judge(&c.Copy, records[i+1:]) {
			found = append(found, c.Copy)
		}
	}
	return found
}

func (p *Peers) copiesOf(ctx context.Context, space, key string) ([]offered, error) {
	var texts []string
	err := p.redis.Do(ctx, func(ctx context.Context) error {
		var err error
		texts, err = getScript.Run(ctx, p.redis.Client(), []string{p.key(space, key)}, maxSetBytes, cache.MaxVariants).StringSlice()
		return err
	})
	var copies []offered
	for _, text := range texts {
		place, c, err := cache.ParseCopy([]byte(text))
		if err == nil && place != "" && c.Space == space && c.Key == key {
			copies = append(copies, offered{Copy: c, place: place})
		}
	}
	return copies, err
}

var errLogGone = errors.New("the log of purges does not reach back as far")

// since returns the log from a place on, and where in it which place is.
func (p *Peers) since(ctx context.Context, place string) (map[string]int, []redis.XMessage, error) {
	var records []redis.XMessage
	err := p.redis.Do(ctx, func(ctx context.Context) error {
		var err error
		records, err = p.redis.Client().XRangeN(ctx, p.logName(), place, "+", maxSince+1).Result()
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
func judge(c *cache.Copy, records []redis.XMessage) bool {
	for _, m := range records {
		r, ok := recordOf(m)
		switch {
		case !ok || r.all:
			return false
		case r.idle() || r.Space != c.Space || !r.Matches(c.Key, c.Entry):
		case !r.Soft:
			return false
		default:
			c.Entry.Purged = true
		}
	}
	return true
}
