package foreign

import "google.golang.org/protobuf/encoding/protowire"

// fields is one more than the highest field of the messages here.
const fields = 6

// message is a protocol buffer whose fields are bytes, text or numbers, by field.
type message struct {
	bytes  [fields][]byte
	number [fields]uint64
}

// decode parses b, of which the result is a view. Unknown fields are ignored; of
// those that come again the last one counts.
func decode(b []byte) (m message, ok bool) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return m, false
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
			return m, false
		}
		if field < fields {
			switch kind {
			case protowire.BytesType:
				m.bytes[field], _ = protowire.ConsumeBytes(b)
			case protowire.VarintType:
				m.number[field], _ = protowire.ConsumeVarint(b)
			}
		}
		b = b[n:]
	}
	return m, true
}

// appendTrue appends a field that is true.
func appendTrue(b []byte, field protowire.Number) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), 1)
}

// appendBytes appends a field of bytes or text.
func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}
