package capability

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/cache/flight"
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Cache is the module ergo_cache: responses that the host stores for a policy, for all of
// its instances and versions. What may be stored, how long it is fresh and for whom, is for
// the policy to say; bodies never reach it.
//
//	scheme(buf, limit) -> len                           "http" or "https", as the client speaks
//	get_request(buf, limit) -> i64                      count<<32 | len of its head, see below
//	get_response(buf, limit) -> i64                     count<<32 | len of the fields of the response at hand; 0: there is none
//	amend(changes, len) -> status                       changes the fields of the response at hand; at most 16 KiB
//	lookup(key, key_len) -> count                       entries under a key, newest first; -1: a bad key
//	get_entry(i, buf, limit) -> len                     what there is of an entry, see below; -1: there is none
//	get_fields(i, buf, limit) -> i64                    count<<32 | len of "name\0value\0" for each, names in lower case; -1: none
//	serve(i, status, offset i64, length i64) -> status  makes the response from an entry
//	compose(i, status, slices, slices_len) -> status    as serve, with a body of slices of several entries
//	store(key, key_len, variant, variant_len, meta, meta_len, tags, tags_len, without, without_len) -> status
//	update(i, fields, fields_len, meta, meta_len) -> status
//	join(key, key_len, timeout) -> outcome
//	release()
//	refresh() -> status
//	is_refresh() -> 0 or 1
//	purge(kind, text, text_len, soft) -> count          kind 0: a key, 1: a prefix of keys, 2: a tag; -1: bad, -2: not all hosts know yet
//	remember(bytes, len) -> status                      at most 8 KiB
//	recall(buf, limit) -> len
//
// A key has 1 to 2048 bytes, what a policy keeps beside an entry (meta) at most 4 KiB. An
// entry is told from others of its key by its variant, of at most 1 KiB: one of the same
// variant takes its place. What was looked up, and remembered, stays with the exchange until
// its response has passed the policy, whichever instance is asked then. get_entry writes
//
//	u16 status, u16 flags (1: softly purged, 2: the exchange has waited for another), u64 size of the body, u32 length, meta, u32 length, variant
//
// in little-endian order. Like the other getters it writes only what fits, and returns the
// length in either case.
//
// Heads come whole, and changes go all at once, because a call costs more than what it carries: a hit
// is a handful of calls, whatever the request. get_request writes "1" if the request is a refresh, and
// in any case
//
//	"\0method\0scheme\0target\0" and "name\0value\0" for each field, names in lower case
//
// of which the first is host, if the request has one. get_response writes fields alone. A change is an
// operation, a name, NUL, a value, NUL: = is to replace a field, + to add one, - to remove it, whatever
// the value. If one of them is not sound none is made; of what frames the message none ever is.
//
// serve makes the response: of the status given, with the entry's fields and length bytes of
// its body from offset on, -1: to its end; without a body for HEAD and 304. Header functions act on
// it from then on. While a request is handled the guest has to say then that it answers; a
// response, and the host's own in a failed exchange, is replaced. compose takes the fields of
// entry i, and for the body up to 64 slices, one after another: "u32 entry, u64 offset, u64 length"
// for each, in little-endian order.
//
// store, in the response phase, stores the response at hand, with its fields as they are now but for
// those named in without and those of the connection, and its body as it passes to the client.
// It is there once it is whole: never if it breaks off, grows too large, is purged since the last
// lookup of the request phase, or its policy or a later one fails. tags and without are lists, "text\0" for each. update gives an entry other
// fields; its body stays. serve after it serves those.
//
// join is for many who want the same: one leads (0), which is then to fetch it; a wait for it
// is noted for the others (3): they return from the request phase at once, whatever with, and
// it begins anew, when there is something to look up. They hold no instance meanwhile. Who
// should go on by itself is told that it leads, too, and who has waited for timeout milliseconds, all
// waits of an exchange together, 2. Leading ends when the response is stored or isn't, when
// the exchange ends, and with release, which says that there is nothing to share. One of
// those that wait leads in place of one that ended without any of these.
//
// refresh has the request repeated in the background, as it is, from this policy on, for which
// is_refresh then is 1; at most one for what was looked up last, and a bounded number of all.
//
// If hosts share what they store, lookup asks for what is not here, and waits for it; purge tells
// the others first. When it can't, it has purged here, and they are told once that is possible.
//
// The status is 0 for done, 1 if there is no such entry, 2 for what is out of bounds, 3 in the
// wrong phase, and 4 if the store has no room or the host too much to do.
func Cache() wasm.HostModule {
	const i32, i64 = wasm.I32, wasm.I64
	return wasm.HostModule{Name: "ergo_cache", Functions: []wasm.HostFunction{
		function("scheme", 2, one, getScheme),
		{Name: "get_request", Params: []api.ValueType{i32, i32}, Results: []api.ValueType{i64}, Call: api.GoModuleFunc(getCacheRequest)},
		{Name: "get_response", Params: []api.ValueType{i32, i32}, Results: []api.ValueType{i64}, Call: api.GoModuleFunc(getCacheResponse)},
		function("amend", 2, one, amendCache),
		function("lookup", 2, one, lookupCache),
		function("get_entry", 3, one, getCacheEntry),
		{Name: "get_fields", Params: []api.ValueType{i32, i32, i32}, Results: []api.ValueType{i64}, Call: api.GoModuleFunc(getCacheFields)},
		{Name: "serve", Params: []api.ValueType{i32, i32, i64, i64}, Results: one, Call: api.GoModuleFunc(serveCache)},
		function("compose", 4, one, composeCache),
		function("store", 10, one, storeCache),
		function("update", 5, one, updateCache),
		function("join", 3, one, joinCache),
		function("release", 0, nil, releaseCache),
		function("refresh", 0, one, refreshCache),
		function("is_refresh", 0, one, isRefresh),
		function("purge", 4, one, purgeCache),
		function("remember", 2, one, rememberCache),
		function("recall", 2, one, recallCache),
	}}
}

const (
	maxVariant         = 1 << 10
	maxScratch         = 16 << 10
	maxMemo            = 8 << 10
	storeIsFull status = 4 // of the cache's functions

	untold = uint64(1<<32 - 2) // a result of purge

	leads   = 0 // outcomes of join
	expired = 2
	waits   = 3
)

// cacheVisit is what an exchange has to do with the cache at one policy.
type cacheVisit struct {
	x       *exchange.Exchange
	cache   *policy.Cache
	key     []byte       // looked up last
	asked   cache.Moment // before the last look in the request phase
	set     cache.Set
	entries []*cache.Entry // of the set, as they were updated
	memo    []byte
	scratch []byte
	ready   exchange.Response
	served  *exchange.Header // of the response that was made of an entry; nil: none was
	changed int              // bytes of what was changed of fields

	flight  *flight.Flight // that it leads; nil: none
	taken   *capture       // the response that it stores; nil: none
	until   time.Duration  // of all waits, on exchange.Clock; 0: there was none
	outcome flight.Outcome // of the last wait
	waited  bool           // until there was something to look up
}

var _ wasm.Ender = (*cacheVisit)(nil)

// errNoVisit is what guests of other ABIs are trapped with.
var errNoVisit = errors.New("ergo_cache acts on exchanges of http-wasm guests alone")

// cacheOf returns the visit of the exchange at hand; without one it traps.
func cacheOf(ctx context.Context) *cacheVisit {
	call := wasm.CallOf(ctx)
	x := call.MustExchange()
	if call.Visit == nil {
		panic(errNoVisit)
	}
	if v, there := call.Visit.Kept().(*cacheVisit); there {
		return v
	}
	c := granted(call).Cache
	v, again := c.Visits.Get().(*cacheVisit)
	if !again {
		v = new(cacheVisit)
	}
	v.x, v.cache, v.asked = x, c, c.Space.Now()
	call.Visit.Keep(v)
	return v
}

// End follows wasm.Ender. A response that is being stored still leads.
func (v *cacheVisit) End() {
	v.set.Close()
	if v.flight != nil {
		v.flight.HandOver()
	}
	c := v.cache
	clear(v.entries)
	*v = cacheVisit{key: v.key[:0], entries: v.entries[:0], memo: v.memo[:0], scratch: v.scratch[:0]}
	if cap(v.scratch) <= maxScratch {
		c.Visits.Put(v)
	}
}

// Fail follows wasm.Ender: a response that was to be stored is not, whatever body the
// exchange goes on with.
func (v *cacheVisit) Fail() {
	if v.taken != nil {
		v.taken.breakOff()
	}
}

// land ends the fetch that the exchange leads, if it does.
func (v *cacheVisit) land(alone bool) {
	if v.flight != nil {
		v.flight.End(alone)
		v.flight = nil
	}
}

// entry returns what was looked up, by its number; nil if there is no such thing.
func (v *cacheVisit) entry(i uint64) *cache.Entry {
	if int(uint32(i)) >= len(v.entries) {
		return nil
	}
	return v.entries[uint32(i)]
}

func lookupCache(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	key := read(mod, stack[0], stack[1])
	v.set.Close()
	v.entries = v.entries[:0]
	if len(key) == 0 || len(key) > cache.MaxKeyBytes {
		stack[0] = none
		return
	}
	v.key = append(v.key[:0], key...)
	if v.x.Response.Status == 0 {
		v.asked = v.cache.Space.Now()
	}
	v.set = v.cache.Space.Lookup(view(v.key))
	if v.set.Len() == 0 && v.cache.Space.Shared() {
		call := wasm.CallOf(ctx)
		call.Pause()
		v.set = v.cache.Space.Fetch(v.x.Context(), string(v.key))
		call.Resume()
	}
	for i := range v.set.Len() {
		v.entries = append(v.entries, v.set.At(i))
	}
	stack[0] = uint64(len(v.entries))
}

func getCacheEntry(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	e := v.entry(stack[0])
	if e == nil {
		stack[0] = none
		return
	}
	b := binary.LittleEndian.AppendUint16(v.scratch[:0], uint16(e.Status))
	flags := uint16(0)
	if e.Purged {
		flags |= 1
	}
	if v.waited {
		flags |= 2
	}
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Size))
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e.Meta))), e.Meta...)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e.Variant))), e.Variant...)
	v.scratch = b
	stack[0] = give(mod, stack[1], stack[2], view(b))
}

func getCacheFields(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	e := v.entry(stack[0])
	if e == nil {
		stack[0] = ^uint64(0)
		return
	}
	stack[0] = v.giveFields(mod, stack[1:], v.scratch[:0], e.Header.Len(), &e.Header)
}

func storeCache(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	r := &v.x.Response
	key, variant, meta := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3]), read(mod, stack[4], stack[5])
	tags, without := texts(read(mod, stack[6], stack[7])), texts(read(mod, stack[8], stack[9]))
	if r.Status == 0 || r.Status == 101 || v.x.Request.Method == "HEAD" && r.Length != 0 {
		stack[0] = tooLate
		return
	}
	if len(variant) > maxVariant {
		stack[0] = badArgument
		return
	}
	head := cache.Head{Status: r.Status, Meta: meta, Variant: string(variant), Tags: tags, Size: r.Length}
	for i, f := range r.Header.Fields() {
		if !exchange.FramesMessage(f.Name) && !namedIn(without, f.Name) && r.Header.KnownAt(i) != exchange.ContentLength {
			head.Fields = append(head.Fields, f)
		}
	}
	w, err := v.cache.Space.Create(string(key), head, v.asked)
	if err != nil {
		v.land(true)
		stack[0] = storeStatus(err)
		return
	}
	taken := &capture{body: r.Body, left: r.Length, writer: w, trailer: &r.Trailer, flight: v.flight}
	v.flight, v.taken = nil, taken
	if r.Body == nil {
		taken.commit()
	} else {
		r.Body = taken
	}
	stack[0] = ok
}

func storeStatus(err error) status {
	if errors.Is(err, cache.ErrArgument) {
		return badArgument
	}
	return storeIsFull
}

// texts are those of a list "text\0text\0".
func texts(list []byte) []string {
	if len(list) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
}

func namedIn(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return exchange.EqualFold(n, name) })
}

func updateCache(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	e := v.entry(stack[0])
	if e == nil {
		stack[0] = notFound
		return
	}
	pairs := texts(read(mod, stack[1], stack[2]))
	head := cache.Head{Status: e.Status, Meta: read(mod, stack[3], stack[4]), Variant: e.Variant, Tags: e.Tags, Size: e.Size}
	for i := 0; i+1 < len(pairs); i += 2 {
		if !exchange.ValidName(pairs[i]) || !exchange.ValidValue(pairs[i+1]) {
			stack[0] = badArgument
			return
		}
		if !exchange.FramesMessage(pairs[i]) {
			head.Fields = append(head.Fields, exchange.Field{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	fresh, err := v.cache.Space.Update(e, head, v.asked)
	if err != nil {
		stack[0] = storeStatus(err)
		return
	}
	v.entries[uint32(stack[0])] = fresh
	v.land(false)
	stack[0] = ok
}

func joinCache(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	key := string(read(mod, stack[0], stack[1]))
	timeout := time.Duration(uint32(stack[2])) * time.Millisecond
	now := exchange.Clock()
	if v.until == 0 {
		v.until = now + timeout
	}
	switch {
	case v.flight != nil, v.outcome == flight.Alone:
		stack[0] = leads
		return
	case v.outcome == flight.Expired || now >= v.until:
		stack[0] = expired
		return
	}
	fetch, first := v.cache.Fetches.Join(key)
	if first {
		v.flight = fetch
		stack[0] = leads
		return
	}
	wait := func() {
		bounded, cancel := context.WithTimeout(v.x.Context(), v.until-exchange.Clock())
		defer cancel()
		if v.outcome = fetch.Wait(bounded); v.outcome == flight.Leads {
			v.flight = fetch
		}
		v.waited = v.outcome == flight.Look
	}
	if stack[0] = waits; !wasm.CallOf(ctx).Visit.Await(wait) {
		stack[0] = expired
	}
}

func releaseCache(ctx context.Context, _ api.Module, _ []uint64) { cacheOf(ctx).land(true) }

func refreshCache(ctx context.Context, _ api.Module, stack []uint64) {
	v := cacheOf(ctx)
	if v.x.Repeater == nil || v.x.Repeated || v.x.Route.Sent {
		stack[0] = tooLate
		return
	}
	fetch, first := v.cache.Refreshes.Join(string(v.key))
	if !first {
		stack[0] = ok // somebody does it
		return
	}
	if stack[0] = ok; !v.x.Repeater.Repeat(func() { fetch.End(false) }) {
		fetch.End(false)
		stack[0] = storeIsFull
	}
}

func isRefresh(ctx context.Context, _ api.Module, stack []uint64) {
	stack[0] = 0
	if wasm.CallOf(ctx).MustExchange().Repeated {
		stack[0] = 1
	}
}

func purgeCache(ctx context.Context, mod api.Module, stack []uint64) {
	kind, text, soft := uint32(stack[0]), string(read(mod, stack[1], stack[2])), uint32(stack[3]) != 0
	if kind > uint32(cache.Tag) {
		stack[0] = none
		return
	}
	call := wasm.CallOf(ctx)
	space := granted(call).Cache.Space
	waits := space.Shared() && call.Exchange != nil
	if waits {
		call.Pause()
	}
	n, err := space.PurgeWithin(askedFor(call), cache.Selector{Kind: cache.Kind(kind), Text: text}, soft)
	if waits {
		call.Resume()
	}
	call.Check()
	switch stack[0] = uint64(uint32(n)); {
	case errors.Is(err, cache.ErrUntold):
		stack[0] = untold
	case err != nil:
		stack[0] = none
	}
}

// askedFor is when the response at hand was asked for, which may be stored after a purge
// that it is the reason for; nil: there is none.
func askedFor(call *wasm.Call) *cache.Moment {
	if call.Exchange == nil || call.Visit == nil || call.Exchange.Response.Status == 0 {
		return nil
	}
	v, there := call.Visit.Kept().(*cacheVisit)
	if !there {
		return nil
	}
	return &v.asked
}

func rememberCache(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	memo := read(mod, stack[0], stack[1])
	if len(memo) > maxMemo {
		stack[0] = badArgument
		return
	}
	v.memo = append(v.memo[:0], memo...)
	stack[0] = ok
}

func recallCache(ctx context.Context, mod api.Module, stack []uint64) {
	stack[0] = give(mod, stack[0], stack[1], view(cacheOf(ctx).memo))
}
