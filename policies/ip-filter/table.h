// Which of many networks an address is in, and what is said of it there.
#pragma once

#include "address.h"

// Most networks that a table holds.
#define TABLE_MOST (1u << 17)

// A network of a list, and where it stands there.
typedef struct {
	address first;
	uint64_t bits : 8;
	uint64_t allowed : 1;
	uint64_t element : 24; // of the list
	uint64_t line : 31;    // of that element, from 1; 0 if it is all of it
} rule;

// Adds a rule; false if the table is full.
bool table_add(rule r);

// Makes the table ready; otherwise is what counts for addresses in no network. If
// one network is both allowed and denied, it is not ready, and returns the rule that
// denies it.
const rule *table_build(bool otherwise);

// Tells whether an address is let in: by the longest prefix that it has.
bool table_find(address a);
