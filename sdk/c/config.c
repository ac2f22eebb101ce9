// A reader for JSON (RFC 8259) that goes once over the text, and unescapes where it
// stands: what it gives out are views into it.
#include "config.h"

// ---- places ------------------------------------------------------------------

static void extend_path(ergo_config *c, ergo_text more) {
	for (size_t i = 0; i < more.length && c->path_length < CONFIG_PATH; i++) c->path[c->path_length++] = more.bytes[i];
}

// extend_number adds [number]. It allocates nothing: a list may be long.
static void extend_number(ergo_config *c, uint32_t number) {
	uint32_t unit = 1;
	while (number / unit >= 10) unit *= 10;
	extend_path(c, ERGO_TEXT("["));
	for (; unit > 0; unit /= 10) {
		char digit = (char)('0' + number / unit % 10);
		extend_path(c, (ergo_text){&digit, 1});
	}
	extend_path(c, ERGO_TEXT("]"));
}

_Noreturn void ergo_fail(ergo_text problem) {
	ergo_log(ERGO_ERROR, problem);
	__builtin_trap();
}

_Noreturn void ergo_refuse(ergo_config *c, ergo_text problem) {
	ergo_text place = {c->path, c->path_length};
	ergo_fail(ergo_join(ergo_join(place, ERGO_TEXT(": ")), problem));
}

_Noreturn void ergo_refuse_member(ergo_config *c) { ergo_refuse(c, ERGO_TEXT("is not a known key")); }

// ---- pieces ------------------------------------------------------------------

static char peek(ergo_config *c) {
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
	return c->at < c->end ? *c->at : 0;
}

static void take(ergo_config *c, char wanted, ergo_text problem) {
	if (peek(c) != wanted) ergo_refuse(c, problem);
	c->at++;
}

static uint32_t hexadecimal(ergo_config *c) {
	uint32_t value = 0;
	for (int i = 0; i < 4; i++, c->at++) {
		char digit = c->at < c->end ? *c->at : 0;
		value <<= 4;
		if (digit >= '0' && digit <= '9') value += (uint32_t)(digit - '0');
		else if (digit >= 'a' && digit <= 'f') value += (uint32_t)(digit - 'a' + 10);
		else if (digit >= 'A' && digit <= 'F') value += (uint32_t)(digit - 'A' + 10);
		else ergo_refuse(c, ERGO_TEXT("expected four hexadecimal digits after \\u"));
	}
	return value;
}

// character reads what follows \u: one unit of UTF-16, or two that belong together.
static uint32_t character(ergo_config *c) {
	uint32_t unit = hexadecimal(c);
	if (unit < 0xd800 || unit > 0xdfff) return unit;
	if (unit < 0xdc00 && c->end - c->at >= 6 && c->at[0] == '\\' && c->at[1] == 'u') {
		c->at += 2;
		uint32_t low = hexadecimal(c);
		if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	}
	ergo_refuse(c, ERGO_TEXT("expected both halves of a character after \\u"));
}

static char *encode(char *to, uint32_t character) {
	if (character < 0x80) {
		*to++ = (char)character;
		return to;
	}
	int more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
	*to++ = (char)(lead[more] | character >> (6 * more));
	while (more-- > 0) *to++ = (char)(0x80 | (character >> (6 * more) & 0x3f));
	return to;
}

// unescape reads what follows a backslash. Written, it is never longer than it was.
static char *unescape(ergo_config *c, char *to) {
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	char name = c->at < c->end ? *c->at++ : 0;
	if (name == 'u') return encode(to, character(c));
	for (size_t i = 0; i < sizeof names - 1; i++) {
		if (names[i] == name) {
			*to++ = values[i];
			return to;
		}
	}
	ergo_refuse(c, ERGO_TEXT("expected a known escape"));
}

static ergo_text string(ergo_config *c) {
	take(c, '"', ERGO_TEXT("expected a string"));
	char *start = c->at, *to = start;
	while (c->at < c->end) {
		char byte = *c->at++;
		if (byte == '"') return (ergo_text){start, (size_t)(to - start)};
		if ((uint8_t)byte < 0x20) break;
		if (byte == '\\') to = unescape(c, to);
		else *to++ = byte;
	}
	ergo_refuse(c, ERGO_TEXT("expected the end of a string"));
}

// ---- objects and arrays --------------------------------------------------------

static void open(ergo_config *c, char close) {
	if (c->depth == CONFIG_DEPTH) ergo_refuse(c, ERGO_TEXT("expected less nesting"));
	c->open[c->depth].close = close;
	c->open[c->depth].count = 0;
	c->open[c->depth].path_length = c->path_length;
	c->depth++;
}

void ergo_read_object(ergo_config *c) {
	take(c, '{', ERGO_TEXT("expected an object"));
	open(c, '}');
}

void ergo_read_array(ergo_config *c) {
	take(c, '[', ERGO_TEXT("expected a list"));
	open(c, ']');
}

// next moves to what follows in the object or array that is open, whose place is
// then the path; false closes it.
static bool next(ergo_config *c) {
	uint32_t level = c->depth - 1;
	c->path_length = c->open[level].path_length;
	if (peek(c) == c->open[level].close) {
		c->at++;
		c->depth--;
		return false;
	}
	if (c->open[level].count++ > 0) take(c, ',', ERGO_TEXT("expected a comma or the end"));
	return true;
}

bool ergo_next_member(ergo_config *c, ergo_text *key) {
	if (!next(c)) return false;
	*key = string(c);
	take(c, ':', ERGO_TEXT("expected a colon"));
	extend_path(c, ERGO_TEXT("."));
	extend_path(c, *key);
	return true;
}

bool ergo_next_element(ergo_config *c) {
	if (!next(c)) return false;
	extend_number(c, c->open[c->depth - 1].count - 1);
	return true;
}

// ---- values --------------------------------------------------------------------

ergo_text ergo_read_text(ergo_config *c) { return string(c); }

// word takes a word that stands where the reader is.
static bool word(ergo_config *c, ergo_text wanted) {
	peek(c);
	if ((size_t)(c->end - c->at) < wanted.length || !ergo_same((ergo_text){c->at, wanted.length}, wanted)) return false;
	c->at += wanted.length;
	return true;
}

bool ergo_read_boolean(ergo_config *c) {
	if (word(c, ERGO_TEXT("true"))) return true;
	if (word(c, ERGO_TEXT("false"))) return false;
	ergo_refuse(c, ERGO_TEXT("expected true or false"));
}

int64_t ergo_read_integer(ergo_config *c, int64_t least, int64_t most) {
	bool negative = peek(c) == '-';
	if (negative) c->at++;
	int64_t value = 0;
	int digits = 0;
	for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && digits < 18; digits++) value = value * 10 + (*c->at++ - '0');
	bool fraction = c->at < c->end && (*c->at == '.' || *c->at == 'e' || *c->at == 'E' || (*c->at >= '0' && *c->at <= '9'));
	if (negative) value = -value;
	if (digits == 0 || fraction || value < least || value > most) ergo_refuse(c, ERGO_TEXT("expected a whole number within its bounds"));
	return value;
}

// ---- beginning and end -----------------------------------------------------------

void config_begin(ergo_config *c, ergo_text json) {
	if (json.length == 0) json = ERGO_TEXT("{}");
	*c = (ergo_config){.at = (char *)json.bytes, .end = (char *)json.bytes + json.length};
	extend_path(c, ERGO_TEXT("config"));
}

void config_end(ergo_config *c) {
	if (c->depth != 0 || peek(c) != 0 || c->at != c->end) ergo_refuse(c, ERGO_TEXT("expected the end"));
}
