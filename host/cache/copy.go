package cache

import (
	"bytes"
	"hash/crc32"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Copy is an entry of a store with its body, as hosts hand it to each other.
type Copy struct {
	Space, Key string
	Entry      *Entry
	Body       []byte
}

// recordCopy is a record's kind, beside those of the index: what follows it is the body.
const recordCopy = 3

// AppendCopy writes a copy down, and a mark of whoever does.
func AppendCopy(b []byte, mark string, c Copy) []byte {
	p := stored{sum: crc32.Checksum(c.Body, castagnoli), space: c.Space, key: c.Key, entry: c.Entry}
	b = appendRecord(b, recordCopy, func(b []byte) []byte { return appendStored(appendText(b, mark), p) })
	return append(b, c.Body...)
}

// ParseCopy reads what AppendCopy wrote, and trusts nothing of it. The body is a part
// of text.
func ParseCopy(text []byte) (mark string, c Copy, err error) {
	r := bytes.NewReader(text)
	content, err := readRecord(r, nil)
	if err != nil || content[0] != recordCopy {
		return "", Copy{}, errRecord
	}
	d := &decoder{text: string(content[1:])}
	mark = d.string()
	p, err := decodeStored(d)
	if err != nil {
		return "", Copy{}, err
	}
	body := text[len(text)-r.Len():]
	e := p.entry
	if int64(len(body)) != e.Size || crc32.Checksum(body, castagnoli) != p.sum ||
		!soundFields(e.Header.Fields()) || !soundFields(e.Trailer) {
		return "", Copy{}, errRecord
	}
	return mark, Copy{Space: p.space, Key: p.key, Entry: e, Body: body}, nil
}

// soundFields reports whether fields can be sent: a record's checksum is no signature.
func soundFields(fields []exchange.Field) bool {
	for _, f := range fields {
		if !exchange.ValidName(f.Name) || !exchange.ValidValue(f.Value) || exchange.FramesMessage(f.Name) {
			return false
		}
	}
	return true
}
