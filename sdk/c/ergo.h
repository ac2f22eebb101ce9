// Policies in C: the http-wasm ABI, a strict reader for configurations, and an
// allocator that forgets. Freestanding: no libc, no WASI. See README.md.
//
// A policy defines ergo_configure and ergo_request, and ergo_response if its
// policy.toml does not say `request_only`.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Declares a function of the host: of http-wasm, or of a capability module. What
// is declared and not called is not imported, and needs no grant.
#define ERGO_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

// ---- text ------------------------------------------------------------------

// Bytes of somebody else, without a NUL at their end.
typedef struct {
	const char *bytes;
	size_t length;
} ergo_text;

#define ERGO_TEXT(literal) ((ergo_text){"" literal, sizeof(literal) - 1})

bool ergo_same(ergo_text a, ergo_text b);

// Two texts one after the other, in memory of ergo_allocate.
ergo_text ergo_join(ergo_text a, ergo_text b);

// A number in decimal digits, in memory of ergo_allocate.
ergo_text ergo_decimal(uint64_t number);

// ---- memory ----------------------------------------------------------------

// Returns size bytes, aligned to eight, not cleared. What is allocated while the
// policy is configured stays; what is allocated in an exchange is gone with the
// phase. Traps where the policy's limit of memory is reached.
void *ergo_allocate(size_t size);

// ---- what the policy defines -------------------------------------------------

// What happens to an exchange after a request phase.
typedef enum {
	ERGO_ANSWER = 0,   // the policy has answered
	ERGO_CONTINUE = 1, // the request goes on
} ergo_flow;

typedef struct ergo_config ergo_config;

// Reads the configuration and prepares what a request can be spared. It runs once
// in an instance, before any exchange.
void ergo_configure(ergo_config *config);

ergo_flow ergo_request(void);

// Sees the response to a request that went on; failed says that nothing behind
// the policy could answer.
void ergo_response(bool failed);

// ---- configuration -------------------------------------------------------------

// A configuration is read front to back, in the order in which it is written. What
// is not as expected is logged with its place ("config.deny[3]: expected a string")
// and ends the instance, so nothing below returns an error.
//
//	ergo_text key;
//	ergo_read_object(config);
//	while (ergo_next_member(config, &key)) {
//		if (ergo_same(key, ERGO_TEXT("status"))) status = ergo_read_integer(config, 400, 599);
//		else ergo_refuse_member(config);
//	}

// Begins an object or an array, whose members or elements are then asked for until
// there are none. At most eight are open at once.
void ergo_read_object(ergo_config *config);
void ergo_read_array(ergo_config *config);

// Moves to the next value of what is open; false ends it. Keys and texts stay valid
// as long as the instance.
bool ergo_next_member(ergo_config *config, ergo_text *key);
bool ergo_next_element(ergo_config *config);

// The value. A text is UTF-8, without its escapes.
ergo_text ergo_read_text(ergo_config *config);
int64_t ergo_read_integer(ergo_config *config, int64_t least, int64_t most);
bool ergo_read_boolean(ergo_config *config);

// Says what is wrong at the place that was read last, and ends the instance. The
// text should not repeat a value: it may be a secret.
_Noreturn void ergo_refuse(ergo_config *config, ergo_text problem);

// As ergo_refuse, of a place that the text names itself.
_Noreturn void ergo_fail(ergo_text problem);

// Refuses the member at hand, which the policy does not know.
_Noreturn void ergo_refuse_member(ergo_config *config);

// ---- the exchange -----------------------------------------------------------------

// All texts are valid until the end of the phase.

ergo_text ergo_method(void);
ergo_text ergo_target(void); // path and query, encoded
ergo_text ergo_protocol(void); // "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"

// Address and port of the client, "192.0.2.7:4711" or "[2001:db8::7]:4711", as the
// host established it.
ergo_text ergo_client(void);

typedef enum {
	ERGO_REQUEST = 0,
	ERGO_RESPONSE = 1,
	ERGO_REQUEST_TRAILERS = 2,
	ERGO_RESPONSE_TRAILERS = 3,
} ergo_kind;

// The values of a field, in order, each behind the last one's NUL.
typedef struct {
	ergo_text values;
	uint32_t count;
} ergo_values;

ergo_values ergo_field(ergo_kind kind, ergo_text name);

// Takes the first of the values that are left; false if there is none.
bool ergo_next_value(ergo_values *left, ergo_text *value);

void ergo_set_field(ergo_kind kind, ergo_text name, ergo_text value);
void ergo_add_field(ergo_kind kind, ergo_text name, ergo_text value);
void ergo_remove_field(ergo_kind kind, ergo_text name);

uint32_t ergo_status(void);
void ergo_set_status(uint32_t status);

// Answers with a text. Fields may be set before or after.
ergo_flow ergo_answer(uint32_t status, ergo_text body);

// ---- the log ------------------------------------------------------------------------

typedef enum { ERGO_DEBUG = -1, ERGO_INFO = 0, ERGO_WARN = 1, ERGO_ERROR = 2 } ergo_level;

bool ergo_log_enabled(ergo_level level);
void ergo_log(ergo_level level, ergo_text message);
