#include "ergo.h"

#include "config.h"

// ---- the host's functions, all i32 but for the lists ------------------------

ERGO_IMPORT("http_handler", "get_config") size_t host_config(char *buffer, size_t limit);
ERGO_IMPORT("http_handler", "log") void host_log(int32_t level, const char *message, size_t length);
ERGO_IMPORT("http_handler", "log_enabled") uint32_t host_log_enabled(int32_t level);
ERGO_IMPORT("http_handler", "get_method") size_t host_method(char *buffer, size_t limit);
ERGO_IMPORT("http_handler", "get_uri") size_t host_target(char *buffer, size_t limit);
ERGO_IMPORT("http_handler", "get_protocol_version") size_t host_protocol(char *buffer, size_t limit);
ERGO_IMPORT("http_handler", "get_source_addr") size_t host_client(char *buffer, size_t limit);
ERGO_IMPORT("http_handler", "get_header_values")
uint64_t host_values(uint32_t kind, const char *name, size_t name_length, char *buffer, size_t limit);
ERGO_IMPORT("http_handler", "set_header_value")
void host_set(uint32_t kind, const char *name, size_t name_length, const char *value, size_t length);
ERGO_IMPORT("http_handler", "add_header_value")
void host_add(uint32_t kind, const char *name, size_t name_length, const char *value, size_t length);
ERGO_IMPORT("http_handler", "remove_header") void host_remove(uint32_t kind, const char *name, size_t length);
ERGO_IMPORT("http_handler", "write_body") void host_write(uint32_t kind, const char *body, size_t length);
ERGO_IMPORT("http_handler", "get_status_code") uint32_t host_status(void);
ERGO_IMPORT("http_handler", "set_status_code") void host_set_status(uint32_t status);

// ---- memory ------------------------------------------------------------------

#define PAGE 65536

extern char __heap_base; // the linker's: what is behind the stack and all variables

static uintptr_t kept;  // end of what stays
static uintptr_t taken; // end of what is in use

// room returns where the free memory begins, of which there are at least so many
// bytes.
static char *room(size_t size) {
	uintptr_t end = __builtin_wasm_memory_size(0) * PAGE;
	if (size > end - taken) {
		size_t pages = (size - (end - taken) - 1) / PAGE + 1;
		if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) {
			ergo_log(ERGO_ERROR, ERGO_TEXT("out of memory"));
			__builtin_trap();
		}
	}
	return (char *)taken;
}

void *ergo_allocate(size_t size) {
	char *start = room(size);
	taken += size;
	taken += -taken & 7;
	return start;
}

// ---- text --------------------------------------------------------------------

bool ergo_same(ergo_text a, ergo_text b) {
	if (a.length != b.length) return false;
	for (size_t i = 0; i < a.length; i++) {
		if (a.bytes[i] != b.bytes[i]) return false;
	}
	return true;
}

ergo_text ergo_join(ergo_text a, ergo_text b) {
	char *both = ergo_allocate(a.length + b.length);
	__builtin_memcpy(both, a.bytes, a.length);
	__builtin_memcpy(both + a.length, b.bytes, b.length);
	return (ergo_text){both, a.length + b.length};
}

ergo_text ergo_decimal(uint64_t number) {
	char digits[20];
	size_t first = sizeof digits;
	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	return ergo_join((ergo_text){digits + first, sizeof digits - first}, ERGO_TEXT(""));
}

// ---- start and phases --------------------------------------------------------

// Free memory that a text is tried to be read into at first.
#define GUESS 1024

// read has a getter write into free memory, and once more where that was too
// little.
static ergo_text read(size_t get(char *buffer, size_t limit)) {
	size_t length = get(room(GUESS), GUESS);
	if (length > GUESS) get(room(length), length);
	return (ergo_text){ergo_allocate(length), length};
}

// configure runs once, before anything else: at the start or, in hosts that do not
// call _initialize, with the first request.
static void configure(void) {
	if (kept != 0) return;
	taken = (uintptr_t)&__heap_base;
	taken += -taken & 7;
	ergo_config config;
	config_begin(&config, read(host_config));
	ergo_configure(&config);
	config_end(&config);
	kept = taken;
}

__attribute__((export_name("_initialize"))) void initialize(void) { configure(); }

__attribute__((export_name("handle_request"))) uint64_t handle_request(void) {
	configure();
	taken = kept;
	return ergo_request();
}

__attribute__((weak)) void ergo_response(bool failed) { (void)failed; }

__attribute__((export_name("handle_response"))) void handle_response(uint32_t context, uint32_t failed) {
	(void)context;
	taken = kept;
	ergo_response(failed != 0);
}

// ---- the exchange --------------------------------------------------------------

ergo_text ergo_method(void) { return read(host_method); }
ergo_text ergo_target(void) { return read(host_target); }
ergo_text ergo_protocol(void) { return read(host_protocol); }
ergo_text ergo_client(void) { return read(host_client); }

ergo_values ergo_field(ergo_kind kind, ergo_text name) {
	uint64_t got = host_values(kind, name.bytes, name.length, room(GUESS), GUESS);
	size_t length = (uint32_t)got;
	if (length > GUESS) host_values(kind, name.bytes, name.length, room(length), length);
	return (ergo_values){{ergo_allocate(length), length}, (uint32_t)(got >> 32)};
}

bool ergo_next_value(ergo_values *left, ergo_text *value) {
	if (left->count == 0) return false;
	const char *start = left->values.bytes;
	size_t length = 0;
	while (length < left->values.length && start[length] != 0) length++;
	size_t passed = length < left->values.length ? length + 1 : length;
	*value = (ergo_text){start, length};
	*left = (ergo_values){{start + passed, left->values.length - passed}, left->count - 1};
	return true;
}

void ergo_set_field(ergo_kind kind, ergo_text name, ergo_text value) {
	host_set(kind, name.bytes, name.length, value.bytes, value.length);
}

void ergo_add_field(ergo_kind kind, ergo_text name, ergo_text value) {
	host_add(kind, name.bytes, name.length, value.bytes, value.length);
}

void ergo_remove_field(ergo_kind kind, ergo_text name) { host_remove(kind, name.bytes, name.length); }

uint32_t ergo_status(void) { return host_status(); }
void ergo_set_status(uint32_t status) { host_set_status(status); }

ergo_flow ergo_answer(uint32_t status, ergo_text body) {
	host_set_status(status);
	ergo_set_field(ERGO_RESPONSE, ERGO_TEXT("content-type"), ERGO_TEXT("text/plain; charset=utf-8"));
	host_write(1, body.bytes, body.length);
	return ERGO_ANSWER;
}

// ---- the log -------------------------------------------------------------------

bool ergo_log_enabled(ergo_level level) { return host_log_enabled(level) != 0; }
void ergo_log(ergo_level level, ergo_text message) { host_log(level, message.bytes, message.length); }
