// Lets requests in by the network that their client is in. See README.md.
#include "ergo.h"
#include "table.h"

static uint32_t status = 403;
static const ergo_text body = ERGO_TEXT("this address has no access\n");

// ---- configuration ---------------------------------------------------------------

// A list of the configuration that is being read.
typedef struct {
	ergo_config *config;
	bool allowed;
	uint32_t element;
} list;

static ergo_text place(bool allowed, uint32_t element, uint32_t line) {
	ergo_text text = ergo_join(allowed ? ERGO_TEXT("config.allow[") : ERGO_TEXT("config.deny["), ergo_decimal(element));
	text = ergo_join(text, ERGO_TEXT("]"));
	return line == 0 ? text : ergo_join(ergo_join(text, ERGO_TEXT(", line ")), ergo_decimal(line));
}

static _Noreturn void refuse(const list *l, uint32_t line, ergo_text problem) {
	ergo_fail(ergo_join(place(l->allowed, l->element, line), problem));
}

static void add(const list *l, uint32_t line, ergo_text text) {
	network n;
	switch (network_parse(text, &n)) {
	case NETWORK_MALFORMED:
		refuse(l, line, ERGO_TEXT(": expected a network, such as 192.0.2.0/24 or 2001:db8::/32"));
	case NETWORK_HOST_BITS:
		refuse(l, line, ERGO_TEXT(": has bits set behind its prefix"));
	case NETWORK_OK:
		break;
	}
	rule r = {.first = n.first, .bits = n.bits, .allowed = l->allowed, .element = l->element, .line = line};
	if (!table_add(r)) refuse(l, line, ERGO_TEXT(": is one network more than 131072"));
}

static bool is_space(char byte) { return byte == ' ' || byte == '\t' || byte == '\r'; }

// without_comment returns what a line says: no spaces around it, nothing from # or ;
// on.
static ergo_text without_comment(ergo_text line) {
	size_t length = 0;
	while (length < line.length && line.bytes[length] != '#' && line.bytes[length] != ';') length++;
	while (length > 0 && is_space(line.bytes[length - 1])) length--;
	while (length > 0 && is_space(*line.bytes)) line.bytes++, length--;
	return (ergo_text){line.bytes, length};
}

// read_element reads one network, or the lines of a file.
static void read_element(const list *l) {
	ergo_text left = ergo_read_text(l->config);
	const char *end = left.bytes + left.length;
	uint32_t networks = 0;
	for (uint32_t line = 0; left.bytes <= end;) {
		const char *stop = left.bytes;
		while (stop < end && *stop != '\n') stop++;
		if (stop < end || line > 0) line++;
		ergo_text text = without_comment((ergo_text){left.bytes, (size_t)(stop - left.bytes)});
		if (text.length > 0) {
			add(l, line, text);
			networks++;
		}
		left.bytes = stop + 1;
	}
	if (networks == 0) refuse(l, 0, ERGO_TEXT(": says no network"));
}

static void read_list(ergo_config *config, bool allowed) {
	list l = {.config = config, .allowed = allowed};
	ergo_read_array(config);
	for (; ergo_next_element(config); l.element++) read_element(&l);
}

static bool read_default(ergo_config *config) {
	ergo_text word = ergo_read_text(config);
	if (ergo_same(word, ERGO_TEXT("allow"))) return true;
	if (ergo_same(word, ERGO_TEXT("deny"))) return false;
	ergo_refuse(config, ERGO_TEXT("expected allow or deny"));
}

void ergo_configure(ergo_config *config) {
	bool allows = false, denies = false, has_default = false, otherwise = false;
	ergo_text key;
	ergo_read_object(config);
	while (ergo_next_member(config, &key)) {
		if (ergo_same(key, ERGO_TEXT("allow"))) read_list(config, allows = true);
		else if (ergo_same(key, ERGO_TEXT("deny"))) read_list(config, !(denies = true));
		else if (ergo_same(key, ERGO_TEXT("default"))) otherwise = read_default(config), has_default = true;
		else if (ergo_same(key, ERGO_TEXT("status"))) status = (uint32_t)ergo_read_integer(config, 400, 499);
		else ergo_refuse_member(config);
	}
	if (!allows && !denies) ergo_refuse(config, ERGO_TEXT("says neither allow nor deny"));
	const rule *conflict = table_build(has_default ? otherwise : !allows);
	if (conflict != NULL) ergo_fail(ergo_join(place(false, conflict->element, conflict->line), ERGO_TEXT(": is allowed too")));
}

// ---- exchanges ---------------------------------------------------------------------

// host_of returns the address of "192.0.2.7:4711" and "[fe80::7%eth0]:4711".
static ergo_text host_of(ergo_text client) {
	if (client.length > 0 && *client.bytes == '[') {
		size_t length = 1;
		while (length < client.length && client.bytes[length] != ']' && client.bytes[length] != '%') length++;
		return (ergo_text){client.bytes + 1, length - 1};
	}
	size_t length = 0;
	while (length < client.length && client.bytes[length] != ':') length++;
	return (ergo_text){client.bytes, length};
}

ergo_flow ergo_request(void) {
	ergo_text client = ergo_client();
	address a;
	// Who has no address, such as over a unix socket, is nobody's neighbour.
	if (address_parse(host_of(client), &a) && table_find(a)) return ERGO_CONTINUE;
	if (ergo_log_enabled(ERGO_DEBUG)) ergo_log(ERGO_DEBUG, ergo_join(ERGO_TEXT("no access for "), client));
	ergo_set_field(ERGO_RESPONSE, ERGO_TEXT("cache-control"), ERGO_TEXT("no-store"));
	return ergo_answer(status, body);
}
