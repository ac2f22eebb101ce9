package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/ergoproxy/ergo/host/cache"
)

// Caches are what the host stores for policies.
type Caches interface {
	Status() CacheStatus
	// Purge removes, or marks if soft, what sel selects of the named policy's
	// responses, or of all policies' if it names none. Its errors are ErrNoCache and
	// those of cache.Space.Purge; after cache.ErrUntold it has purged here.
	Purge(policy string, sel cache.Selector, soft bool) (n int, err error)
}

// ErrNoCache says that nothing is stored for a policy of that name.
var ErrNoCache = errors.New("nothing is stored for a policy of that name")

// CacheStatus is what is stored at one moment; counts begin when the host starts.
type CacheStatus struct {
	Memory   CacheTier     `json:"memory"`
	Disk     *CacheTier    `json:"disk,omitempty"` // nil: there is none
	Storing  int64         `json:"storing_bytes"`  // of the memory, what is still coming in
	Misses   uint64        `json:"misses"`
	Stored   uint64        `json:"stored"`
	Dropped  uint64        `json:"dropped"` // too large, no room, or purged on the way
	Purges   uint64        `json:"purges"`
	Purged   uint64        `json:"purged"` // responses that purges removed or marked
	Shared   *CacheShared  `json:"shared,omitempty"`
	Policies []CachePolicy `json:"policies"` // by name
}

// CacheTier is memory or disk.
type CacheTier struct {
	Entries   int    `json:"entries"`
	Bytes     int64  `json:"bytes"`
	Limit     int64  `json:"limit_bytes"`
	Hits      uint64 `json:"hits"`
	Evictions uint64 `json:"evictions"`
}

// CacheShared is what the host has to do with those that share with it.
type CacheShared struct {
	Joined bool   `json:"joined"` // hears of their purges at the moment
	Hits   uint64 `json:"hits"`
	Misses uint64 `json:"misses"`
	Untold int    `json:"untold"` // purges that they are still to be told of
}

// CachePolicy is one policy that stores.
type CachePolicy struct {
	Name       string `json:"name"`
	Fetching   int    `json:"fetching"`   // what others wait for
	Waiting    int64  `json:"waiting"`    // exchanges that do
	Refreshing int    `json:"refreshing"` // behind the clients' backs
}

// PurgeRequest selects stored responses by one of URL, Prefix, Tag, Key and All.
// Scheme and host of a URL may be written in any case, and with their own port.
type PurgeRequest struct {
	Policy string `json:"policy,omitempty"` // default: all that store
	URL    string `json:"url,omitempty"`    // all that is stored for it, with the query as it is stored
	Prefix string `json:"prefix,omitempty"` // what URLs, or other keys, begin with
	Tag    string `json:"tag,omitempty"`
	Key    string `json:"key,omitempty"` // as the policy made it
	All    bool   `json:"all,omitempty"`
	Soft   bool   `json:"soft,omitempty"` // they stay, and are stale until the origin says otherwise
}

// PurgeResult says how many responses a purge removed or marked on this host.
type PurgeResult struct {
	Purged int  `json:"purged"`
	Untold bool `json:"untold,omitempty"` // other hosts could not be told of it yet
}

var errSelector = errors.New("say one of url, prefix, tag, key and all")

// selector returns what req selects.
func (req *PurgeRequest) selector() (cache.Selector, error) {
	var found []cache.Selector
	add := func(kind cache.Kind, text string) {
		if text != "" {
			found = append(found, cache.Selector{Kind: kind, Text: text})
		}
	}
	add(cache.Prefix, asKeyed(req.Prefix))
	add(cache.Tag, req.Tag)
	add(cache.Exact, req.Key)
	if req.URL != "" {
		url := asKeyed(req.URL)
		scheme, rest, ok := strings.Cut(url, "://")
		if !ok || ownPort(scheme) == "" {
			return cache.Selector{}, errors.New("url does not begin with http:// or https://")
		}
		if !strings.Contains(rest, "/") {
			url += "/"
		}
		add(cache.Prefix, url+"\n") // see policies/README.md, "What the host stores for caches"
	}
	if req.All {
		found = append(found, cache.Selector{Kind: cache.Prefix})
	}
	if len(found) != 1 {
		return cache.Selector{}, errSelector
	}
	return found[0], nil
}

// asKeyed writes scheme and host of a URL as they are in keys: in small letters, without
// the scheme's own port. All else stays, byte for byte.
func asKeyed(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	scheme = strings.ToLower(scheme)
	port := ownPort(scheme)
	if port == "" {
		return url
	}
	host, path := rest, ""
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		host, path = strings.TrimSuffix(rest[:at], port), rest[at:]
	}
	return scheme + "://" + strings.ToLower(host) + path
}

// ownPort is the port that URLs of a scheme leave out, "" if it is not one of the web's.
func ownPort(scheme string) string {
	switch scheme {
	case "http":
		return ":80"
	case "https":
		return ":443"
	}
	return ""
}

func (s *Server) cacheStatus(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.opts.Caches.Status())
}

func (s *Server) purge(w http.ResponseWriter, r *http.Request) {
	var req PurgeRequest
	if !read(w, r, &req) {
		return
	}
	sel, err := req.selector()
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	n, err := s.opts.Caches.Purge(req.Policy, sel, req.Soft)
	switch {
	case errors.Is(err, ErrNoCache):
		fail(w, http.StatusNotFound, err.Error())
	case errors.Is(err, cache.ErrUntold):
		s.opts.Log.Warn("purged here; other hosts will hear of it when they can be told", "err", err)
		answer(w, http.StatusOK, PurgeResult{Purged: n, Untold: true})
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
	default:
		answer(w, http.StatusOK, PurgeResult{Purged: n})
	}
}

// CacheStatus returns what the host stores for policies.
func (c *Client) CacheStatus(ctx context.Context) (*CacheStatus, error) {
	return call[CacheStatus](ctx, c, "GET", "/v1/cache", nil)
}

// Purge removes stored responses, or has them count as stale.
func (c *Client) Purge(ctx context.Context, req PurgeRequest) (*PurgeResult, error) {
	return call[PurgeResult](ctx, c, "POST", "/v1/cache/purge", req)
}
