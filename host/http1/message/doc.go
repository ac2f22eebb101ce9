// Package message is the grammar of HTTP/1.1 (RFC 9112): heads are parsed and
// written here, and bodies framed, strictly. What could be read two ways is
// refused and never repaired, since whoever stands behind the host may read it
// the other way.
//
// Parsers look at each byte once, copy none and allocate nothing: the text they
// return is a view of the buffer that was parsed, and lives as long as it.
package message
