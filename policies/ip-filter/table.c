// Networks lie within each other or apart, so together they cut the space of addresses
// into ranges, which are let in and not in turn. Their starts are sorted, and a lookup
// is a search by halves: 19 steps at most.
#include "table.h"

static rule rules[TABLE_MOST + 1]; // one more for all of IPv4
static uint32_t rule_count;
static bool has_ipv4; // all of it is a rule

// Range i begins at starts[i] and ends before starts[i + 1]. A network begins one, and
// another one behind its end.
#define RANGES_MOST (2 * (TABLE_MOST + 1) + 1)
static address starts[RANGES_MOST];
static uint32_t range_count;
static bool first_allowed; // the verdict of range 0, and of every other one

// strides[i] is starts[i * STRIDE]: the first half of a search stays in the cache.
#define STRIDE 64
static address strides[RANGES_MOST / STRIDE + 1];

static const address ipv4_first = {0, IPV4_PREFIX};

bool table_add(rule r) {
	if (rule_count == TABLE_MOST) return false;
	has_ipv4 |= r.bits == IPV4_BITS && address_compare(r.first, ipv4_first) == 0;
	rules[rule_count++] = r;
	return true;
}

// ---- order: by first address, the larger network first -------------------------

static int compare(const rule *a, const rule *b) {
	int order = address_compare(a->first, b->first);
	return order != 0 ? order : (int)a->bits - (int)b->bits;
}

static void sink(uint32_t at, uint32_t count) {
	rule moved = rules[at];
	for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && compare(&rules[child], &rules[child + 1]) < 0) child++;
		if (compare(&moved, &rules[child]) >= 0) break;
		rules[at] = rules[child];
	}
	rules[at] = moved;
}

// sort is a heapsort: no memory more, and no order of input that is slow.
static void sort(void) {
	for (uint32_t at = rule_count / 2; at-- > 0;) sink(at, rule_count);
	for (uint32_t left = rule_count; left-- > 1;) {
		rule largest = rules[0];
		rules[0] = rules[left];
		rules[left] = largest;
		sink(0, left);
	}
}

// settle keeps each network once; it returns the denial of one that is allowed too.
static const rule *settle(void) {
	uint32_t kept = 0;
	for (uint32_t i = 0; i < rule_count; i++) {
		if (kept == 0 || compare(&rules[kept - 1], &rules[i]) != 0) rules[kept++] = rules[i];
		else if (rules[kept - 1].allowed != rules[i].allowed) return rules[i].allowed ? &rules[kept - 1] : &rules[i];
	}
	rule_count = kept;
	return NULL;
}

// ---- ranges --------------------------------------------------------------------

static bool verdict_of(uint32_t range) { return first_allowed ^ (range & 1); }

// begin has a verdict hold from an address on.
static void begin(address start, bool allowed) {
	if (range_count > 0 && address_compare(starts[range_count - 1], start) == 0) range_count--;
	if (range_count == 0) first_allowed = allowed;
	else if (verdict_of(range_count - 1) == allowed) return;
	starts[range_count++] = start;
}

// nesting is the networks that the sweep is in, each within the one below: as many as
// a prefix has lengths, at most.
typedef struct {
	const rule *open[129];
	uint32_t depth;
	bool otherwise;
} nesting;

static address last_of(const rule *r) { return network_last((network){r->first, (uint8_t)r->bits}); }

// leave ends the innermost network: behind it, the one around it counts.
static void leave(nesting *n) {
	address last = last_of(n->open[--n->depth]);
	address next = {last.high + (last.low == UINT64_MAX), last.low + 1};
	bool around = n->depth > 0 ? n->open[n->depth - 1]->allowed : n->otherwise;
	if (next.high != 0 || next.low != 0) begin(next, around);
}

static void sweep(bool otherwise) {
	nesting n = {.otherwise = otherwise};
	begin((address){0, 0}, otherwise);
	for (uint32_t i = 0; i < rule_count; i++) {
		while (n.depth > 0 && address_compare(last_of(n.open[n.depth - 1]), rules[i].first) < 0) leave(&n);
		begin(rules[i].first, rules[i].allowed);
		n.open[n.depth++] = &rules[i];
	}
	while (n.depth > 0) leave(&n);
	for (uint32_t i = 0; i < range_count; i += STRIDE) strides[i / STRIDE] = starts[i];
}

const rule *table_build(bool otherwise) {
	// What is said of IPv6 says nothing of the IPv4 addresses that lie in its space.
	if (!has_ipv4) rules[rule_count++] = (rule){.first = ipv4_first, .bits = IPV4_BITS, .allowed = otherwise};
	sort();
	const rule *conflict = settle();
	if (conflict == NULL) sweep(otherwise);
	return conflict;
}

// search returns the last of sorted addresses, of which the first is not after a, that
// is not after a.
static uint32_t search(const address *sorted, uint32_t count, address a) {
	uint32_t at = 0;
	while (count > 1) {
		uint32_t half = count / 2;
		address middle = sorted[at + half];
		// Without a branch, which would be foreseen every other time.
		at += half * ((middle.high < a.high) | ((middle.high == a.high) & (middle.low <= a.low)));
		count -= half;
	}
	return at;
}

bool table_find(address a) {
	uint32_t from = STRIDE * search(strides, (range_count + STRIDE - 1) / STRIDE, a);
	uint32_t count = range_count - from < STRIDE ? range_count - from : STRIDE;
	return verdict_of(from + search(starts + from, count, a));
}
