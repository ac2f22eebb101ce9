package guest

import "unsafe"

// The functions of ergo_cache.

//go:wasmimport ergo_cache scheme
func hostCacheScheme(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_cache lookup
func hostCacheLookup(key unsafe.Pointer, length uint32) int32

//go:wasmimport ergo_cache get_entry
func hostCacheEntry(i uint32, buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_cache get_fields
func hostCacheFields(i uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport ergo_cache serve
func cacheServe(i, status uint32, offset, length int64) uint32

//go:wasmimport ergo_cache compose
func hostCacheCompose(i, status uint32, slices unsafe.Pointer, length uint32) uint32

//go:wasmimport ergo_cache store
func hostCacheStore(key unsafe.Pointer, keyLength uint32, variant unsafe.Pointer, variantLength uint32, meta unsafe.Pointer, metaLength uint32, tags unsafe.Pointer, tagsLength uint32, without unsafe.Pointer, withoutLength uint32) uint32

//go:wasmimport ergo_cache update
func hostCacheUpdate(i uint32, fields unsafe.Pointer, fieldsLength uint32, meta unsafe.Pointer, metaLength uint32) uint32

//go:wasmimport ergo_cache join
func hostCacheJoin(key unsafe.Pointer, length, timeout uint32) uint32

//go:wasmimport ergo_cache release
func cacheRelease()

//go:wasmimport ergo_cache refresh
func cacheRefresh() uint32

//go:wasmimport ergo_cache is_refresh
func cacheIsRefresh() uint32

//go:wasmimport ergo_cache purge
func hostCachePurge(kind uint32, text unsafe.Pointer, length, soft uint32) int32

//go:wasmimport ergo_cache remember
func hostCacheRemember(memo unsafe.Pointer, length uint32) uint32

//go:wasmimport ergo_cache recall
func hostCacheRecall(buf unsafe.Pointer, limit uint32) uint32

func cacheScheme(buf []byte) uint32 { return hostCacheScheme(room(buf)) }
func cacheLookup(key string) int32  { return hostCacheLookup(at(key)) }

func cacheEntry(i uint32, buf []byte) uint32 {
	to, limit := room(buf)
	return hostCacheEntry(i, to, limit)
}

func cacheFields(i uint32, buf []byte) uint64 {
	to, limit := room(buf)
	return hostCacheFields(i, to, limit)
}

func cacheCompose(i, status uint32, slices string) uint32 {
	list, length := at(slices)
	return hostCacheCompose(i, status, list, length)
}

func cacheStore(head CacheHead, tags, without string) uint32 {
	key, keyLength := at(head.Key)
	variant, variantLength := at(head.Variant)
	meta, metaLength := at(head.Meta)
	tagsAt, tagsLength := at(tags)
	withoutAt, withoutLength := at(without)
	return hostCacheStore(key, keyLength, variant, variantLength, meta, metaLength, tagsAt, tagsLength, withoutAt, withoutLength)
}

func cacheUpdate(i uint32, fields, meta string) uint32 {
	fieldsAt, fieldsLength := at(fields)
	metaAt, metaLength := at(meta)
	return hostCacheUpdate(i, fieldsAt, fieldsLength, metaAt, metaLength)
}

func cacheJoin(key string, timeout uint32) uint32 {
	keyAt, length := at(key)
	return hostCacheJoin(keyAt, length, timeout)
}

func cachePurge(kind uint32, text string, soft bool) int32 {
	textAt, length := at(text)
	softly := uint32(0)
	if soft {
		softly = 1
	}
	return hostCachePurge(kind, textAt, length, softly)
}

func cacheRemember(memo string) uint32 { return hostCacheRemember(at(memo)) }
func cacheRecall(buf []byte) uint32    { return hostCacheRecall(room(buf)) }
