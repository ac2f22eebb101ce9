#include "address.h"

#define GROUPS 8 // of 16 bits in an IPv6 address

// reader goes over a text, byte by byte.
typedef struct {
	const char *at, *end;
} reader;

static bool skip(reader *r, char byte) {
	if (r->at == r->end || *r->at != byte) return false;
	r->at++;
	return true;
}

// decimal reads a number of one to three digits, without leading zeros.
static bool decimal(reader *r, uint32_t most, uint32_t *value) {
	const char *start = r->at;
	*value = 0;
	for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && r->at - start < 4; r->at++) *value = *value * 10 + (uint32_t)(*r->at - '0');
	return r->at > start && *value <= most && !(*start == '0' && r->at - start > 1);
}

static bool ipv4(reader *r, uint32_t *value) {
	*value = 0;
	for (int i = 0; i < 4; i++) {
		uint32_t part;
		if (i > 0 && !skip(r, '.')) return false;
		if (!decimal(r, 255, &part)) return false;
		*value = *value << 8 | part;
	}
	return true;
}

// group reads one to four hexadecimal digits.
static bool group(reader *r, uint16_t *value) {
	const char *start = r->at;
	uint32_t sum = 0;
	for (; r->at < r->end && r->at - start < 4; r->at++) {
		char digit = *r->at | 0x20; // lower case; leaves digits alone
		if (digit >= '0' && digit <= '9' && *r->at >= '0') sum = sum << 4 | (uint32_t)(digit - '0');
		else if (digit >= 'a' && digit <= 'f') sum = sum << 4 | (uint32_t)(digit - 'a' + 10);
		else break;
	}
	*value = (uint16_t)sum;
	return r->at > start;
}

// tail reads an IPv4 address, which may stand for the last two groups.
static bool tail(reader *r, uint16_t *groups) {
	reader ahead = *r;
	uint32_t value;
	if (!ipv4(&ahead, &value) || (ahead.at < ahead.end && *ahead.at != '/')) return false;
	groups[0] = (uint16_t)(value >> 16);
	groups[1] = (uint16_t)value;
	*r = ahead;
	return true;
}

// ipv6 reads groups. Those behind :: are moved to the end when they are known.
static bool ipv6(reader *r, address *parsed) {
	uint16_t groups[GROUPS] = {0};
	int count = 0, gap = -1;
	if (r->end - r->at >= 2 && r->at[0] == ':' && r->at[1] == ':') gap = 0, r->at += 2;
	bool more = gap < 0 || (r->at < r->end && *r->at != '/');
	while (more) {
		if (count <= GROUPS - 2 && tail(r, groups + count)) {
			count += 2;
			break;
		}
		if (count == GROUPS || !group(r, groups + count)) return false;
		count++;
		more = skip(r, ':');
		if (more && gap < 0 && skip(r, ':')) {
			gap = count;
			more = r->at < r->end && *r->at != '/';
		}
	}
	if (gap < 0 ? count != GROUPS : count == GROUPS) return false;
	address value = {0, 0};
	for (int i = 0; i < GROUPS; i++) {
		int from = gap < 0 || i < gap ? i : i - (GROUPS - count);
		uint64_t g = gap >= 0 && i >= gap && from < gap ? 0 : groups[from];
		if (i < 4) value.high = value.high << 16 | g;
		else value.low = value.low << 16 | g;
	}
	*parsed = value;
	return true;
}

// either reads an address of either family, and says which.
static bool either(reader *r, address *parsed, bool *is_ipv4) {
	reader ahead = *r;
	uint32_t value;
	*is_ipv4 = ipv4(&ahead, &value);
	if (!*is_ipv4) return ipv6(r, parsed);
	*r = ahead;
	*parsed = (address){0, IPV4_PREFIX | value};
	return true;
}

bool address_parse(ergo_text text, address *parsed) {
	reader r = {text.bytes, text.bytes + text.length};
	bool is_ipv4;
	return either(&r, parsed, &is_ipv4) && r.at == r.end;
}

address network_last(network n) {
	address last = n.first;
	if (n.bits < 64) last.high |= ~(uint64_t)0 >> n.bits;
	if (n.bits < 64) last.low = ~(uint64_t)0;
	else if (n.bits < 128) last.low |= ~(uint64_t)0 >> (n.bits - 64);
	return last;
}

network_problem network_parse(ergo_text text, network *parsed) {
	reader r = {text.bytes, text.bytes + text.length};
	bool is_ipv4;
	if (!either(&r, &parsed->first, &is_ipv4)) return NETWORK_MALFORMED;
	uint32_t most = is_ipv4 ? 32 : 128, bits = most;
	if (skip(&r, '/') && !decimal(&r, most, &bits)) return NETWORK_MALFORMED;
	if (r.at != r.end) return NETWORK_MALFORMED;
	parsed->bits = (uint8_t)(is_ipv4 ? IPV4_BITS + bits : bits);
	address rest = network_last((network){{0, 0}, parsed->bits}); // the bits behind the prefix
	if ((parsed->first.high & rest.high) != 0 || (parsed->first.low & rest.low) != 0) return NETWORK_HOST_BITS;
	return NETWORK_OK;
}
