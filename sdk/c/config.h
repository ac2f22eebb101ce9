// What a configuration is made of; ergo.h has what reads it.
#pragma once

#include "ergo.h"

#define CONFIG_DEPTH 8   // objects and arrays that are open at once
#define CONFIG_PATH 256  // bytes of a place

struct ergo_config {
	char *at, *end; // what is left of the JSON
	struct {
		char close;           // '}' or ']'
		uint32_t count;       // members or elements so far
		uint32_t path_length; // of the object or array itself
	} open[CONFIG_DEPTH];
	uint32_t depth;
	char path[CONFIG_PATH];
	uint32_t path_length;
};

// Begins with the JSON, which is written to; no bytes are {}.
void config_begin(ergo_config *config, ergo_text json);

// Refuses what was not read.
void config_end(ergo_config *config);
