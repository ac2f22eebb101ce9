package main

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName     = 255
	maxPassword = 1024
)

// credentials are what a client shows.
type credentials struct{ name, password string }

// strict takes one spelling of each text: padded, and without bits that mean nothing.
var strict = base64.StdEncoding.Strict()

// parse reads the value of an Authorization field (RFC 7617 section 2): the scheme in
// any case, and a name and a password in UTF-8 without control characters.
func parse(value string) (credentials, bool) {
	scheme, encoded, _ := strings.Cut(value, " ")
	encoded = strings.TrimLeft(encoded, " ")
	if !strings.EqualFold(scheme, "basic") || len(encoded) > base64.StdEncoding.EncodedLen(maxName+1+maxPassword) ||
		strings.ContainsAny(encoded, "\r\n") {
		return credentials{}, false
	}
	decoded, err := strict.DecodeString(encoded)
	if err != nil {
		return credentials{}, false
	}
	name, password, found := strings.Cut(string(decoded), ":")
	return credentials{name, password}, found && sound(name, maxName) && sound(password, maxPassword)
}

// sound says whether a text can be a name or a password.
func sound(text string, max int) bool {
	return text != "" && len(text) <= max && utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}
