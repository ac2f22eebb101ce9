package main

import (
	"errors"
	"fmt"
	"strings"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

func init() {
	guest.Register(func([]byte) (guest.Policy, error) {
		return guest.Policy{Request: look, Response: keep}, nil
	})
}

// look answers from what is stored under the target; what is not is fetched by one.
func look(request guest.Request) guest.Flow {
	key, do := request.Target(), ""
	if values := request.Header().Values("x-do"); len(values) == 1 {
		do = values[0]
	}
	if do == "purge" {
		return told(request, purge(key))
	}
	count := guest.CacheLookup(key)
	if count == 0 || guest.CacheIsRefresh() {
		if guest.CacheJoin(key, 60_000) == guest.CacheWaits {
			return guest.Answer
		}
		if err := guest.CacheRemember(key); err != nil {
			return told(request, err.Error())
		}
		return guest.Continue
	}
	if err := serve(do); err != nil {
		return told(request, err.Error())
	}
	return guest.Answer
}

func serve(do string) error {
	entry, _ := guest.CacheGet(0)
	switch do {
	case "describe":
		about := fmt.Sprintf("%d %t %d %s of %s %v", entry.Status, entry.Purged, entry.Size, entry.Meta, entry.Variant, guest.CacheFields(0))
		if err := guest.CacheServe(0, 200, 0, 0); err != nil {
			return err
		}
		guest.Response{}.Header().Set("x-about", about)
		return nil
	case "compose":
		return guest.CacheCompose(0, 206, guest.CacheSlice{Entry: 0, Offset: 2, Length: 8}, guest.CacheSlice{Entry: 0, Length: 2})
	case "update":
		if err := guest.CacheUpdate(0, []string{"x-kind", "updated"}, "new"); err != nil {
			return err
		}
	case "refresh":
		if err := guest.CacheRefresh(); err != nil {
			return err
		}
	case "beyond":
		return guest.CacheServe(0, 200, 1<<40, -1)
	case "none":
		return guest.CacheServe(7, 200, 0, -1)
	}
	return guest.CacheServe(0, entry.Status, 0, -1)
}

// keep stores what was fetched.
func keep(response guest.Response, _ uint32, isError bool) {
	key := guest.CacheRecall()
	if key == "" || isError {
		return
	}
	if strings.HasPrefix(key, "/private") {
		guest.CacheRelease()
		return
	}
	head := guest.CacheHead{Key: key, Variant: guest.CacheScheme(), Meta: "old", Tags: []string{"all", key}, LeftOut: []string{"x-mine", "date", "via"}}
	if err := guest.CacheStore(head); err != nil {
		response.Header().Set("x-store", err.Error())
	}
}

// purge removes by tag, and says what becomes of a purge of nothing that there is.
func purge(key string) string {
	softly, err := guest.CachePurge(guest.CacheKey, key, true)
	if err != nil {
		return err.Error()
	}
	gone, err := guest.CachePurge(guest.CacheTag, "all", false)
	if err != nil {
		return err.Error()
	}
	_, err = guest.CachePurge(guest.CacheTag, "", false)
	return fmt.Sprint(softly, " ", gone, " ", errors.Is(err, guest.ErrBadArgument))
}

func told(request guest.Request, text string) guest.Flow { return request.Answer(200).Text(text) }
