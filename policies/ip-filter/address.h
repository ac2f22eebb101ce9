// Addresses and networks as text and as numbers.
#pragma once

#include "ergo.h"

// An IPv6 address, or an IPv4 one as RFC 4291, 2.5.5.2 maps it: ::ffff:192.0.2.7.
typedef struct {
	uint64_t high, low;
} address;

// An address and how many of its leading bits count.
typedef struct {
	address first;
	uint8_t bits; // 0 to 128
} network;

// All addresses of IPv4.
#define IPV4_BITS 96
#define IPV4_PREFIX 0x0000ffff00000000u

static inline int address_compare(address a, address b) {
	if (a.high != b.high) return a.high < b.high ? -1 : 1;
	return a.low == b.low ? 0 : a.low < b.low ? -1 : 1;
}

// The last address of a network.
address network_last(network n);

// Reads an address: dotted IPv4 without leading zeros, or IPv6 as RFC 4291, 2.2
// has it, without a zone.
bool address_parse(ergo_text text, address *parsed);

typedef enum { NETWORK_OK, NETWORK_MALFORMED, NETWORK_HOST_BITS } network_problem;

// Reads an address with or without /bits behind it.
network_problem network_parse(ergo_text text, network *parsed);
