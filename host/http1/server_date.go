package http1

import (
	"sync/atomic"
	"time"
)

// date is the text of Date, made once a second.
type date struct{ current atomic.Pointer[dateText] }

type dateText struct {
	text string
	ends time.Duration // on exchange.Clock
}

// at returns the text (RFC 9110, 5.6.7) at a time on exchange.Clock that is now.
func (d *date) at(now time.Duration) string {
	if t := d.current.Load(); t != nil && now < t.ends {
		return t.text
	}
	wall := time.Now().UTC()
	t := &dateText{
		text: wall.Format("Mon, 02 Jan 2006 15:04:05 GMT"),
		ends: now + time.Second - time.Duration(wall.Nanosecond()),
	}
	d.current.Store(t)
	return t.text
}
