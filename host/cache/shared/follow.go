package shared

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// follow keeps up with the log until ctx ends.
func (p *Peers) follow(ctx context.Context) {
	gone := false
	for ctx.Err() == nil {
		err := p.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if gone {
				p.log.Info("the cache is shared again")
			}
			gone = false
			continue
		}
		if !gone {
			p.log.Error("the cache is not shared at the moment", "err", err)
		}
		gone = true
		p.mu.Lock()
		p.joined = false
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(tailPause):
		}
	}
}

// step waits for news once. Only follow changes the place.
func (p *Peers) step(ctx context.Context) error {
	p.mu.Lock()
	place, joined := p.place, p.joined
	p.mu.Unlock()
	if place == "" {
		return p.enter(ctx)
	}
	wait := tailWait
	if !joined {
		wait = -1 // the caller has something to say
	}
	news, err := p.read(ctx, place, wait)
	if err != nil {
		return err
	}
	// What was read follows the place without a gap if its record is still there.
	there, err := p.tail.XRangeN(ctx, p.logName(), place, place, 1).Result()
	if err != nil {
		return fmt.Errorf("look at the log of purges: %w", err)
	}
	if len(there) == 0 {
		return p.enter(ctx)
	}
	for _, m := range news {
		p.hear(m)
		p.mu.Lock()
		p.place = m.ID
		p.mu.Unlock()
	}
	if joined || len(news) == tailBatch {
		return nil
	}
	return p.join(ctx)
}

// read returns what follows a place, once there is something.
func (p *Peers) read(ctx context.Context, place string, wait time.Duration) ([]redis.XMessage, error) {
	within, cancel := context.WithTimeout(ctx, max(wait, 0)+p.tail.Options().ReadTimeout)
	defer cancel()
	streams, err := p.tail.XRead(within, &redis.XReadArgs{Streams: []string{p.logName(), place}, Count: tailBatch, Block: wait}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the log of purges: %w", err)
	}
	var news []redis.XMessage
	for _, s := range streams {
		news = append(news, s.Messages...)
	}
	return news, nil
}

// enter takes the end of the log for the place, because none is known that is good,
// and drops what is here: it may have been purged.
func (p *Peers) enter(ctx context.Context) error {
	last, err := p.tail.XRevRangeN(ctx, p.logName(), "+", "-", 1).Result()
	if err != nil {
		return fmt.Errorf("enter the log of purges: %w", err)
	}
	var place string
	if len(last) > 0 {
		place = last[0].ID
	} else if place, err = p.tail.XAdd(ctx, p.entry(record{})).Result(); err != nil {
		return fmt.Errorf("begin the log of purges: %w", err)
	}
	p.mu.Lock()
	lost := p.place != ""
	p.place, p.joined = place, false
	p.mu.Unlock()
	if p.store.Drop() > 0 || lost {
		p.gaps.Add(1)
		p.log.Warn("the cache begins anew: it may have missed purges of other hosts")
	}
	return p.join(ctx)
}

// join tells what was purged while the log was not followed. From then on what is
// stored here is shared.
func (p *Peers) join(ctx context.Context) error {
	for {
		p.mu.Lock()
		if len(p.untold) == 0 {
			p.joined = true
			p.mu.Unlock()
			return nil
		}
		r := p.untold[0]
		p.mu.Unlock()
		if err := p.tail.XAdd(ctx, p.entry(r)).Err(); err != nil {
			return fmt.Errorf("write to the log of purges: %w", err)
		}
		p.mu.Lock()
		p.untold = p.untold[1:]
		p.mu.Unlock()
	}
}

// hear does what another host has purged.
func (p *Peers) hear(m redis.XMessage) {
	r, ok := recordOf(m)
	switch {
	case !ok, r.all && r.host != p.host:
		p.store.Drop() // whatever it says, nothing may be missed
	case r.host == p.host:
		// What is stored with this place must have been stored after the purge.
		p.telling.Lock()
		p.telling.Unlock()
	case !r.idle():
		p.store.Hear(r.Purge)
	}
}
