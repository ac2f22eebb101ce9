package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// A record is what the index of the disk tier consists of: 4 bytes of length, 4 of
// checksum (CRC-32C, of what follows), a kind, and its content. Numbers are
// little-endian or varints, texts have their length before them.
const (
	recordPut    = 1 // an entry, the first time or with a new head
	recordDelete = 2 // its id
)

const (
	frameBytes = 8
	// maxRecord is more than any head takes.
	maxRecord = MaxKeyBytes + 3*MaxHeadBytes + 4<<10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errRecord = errors.New("a record is damaged")

// stored is an entry as it is written down.
type stored struct {
	id    uint64
	sum   uint32 // of the body
	space string
	key   string
	entry *Entry
}

// appendRecord frames what with appends.
func appendRecord(b []byte, kind byte, with func([]byte) []byte) []byte {
	begin := len(b)
	b = append(b, make([]byte, frameBytes)...)
	b = with(append(b, kind))
	content := b[begin+frameBytes:]
	binary.LittleEndian.PutUint32(b[begin:], uint32(len(content)))
	binary.LittleEndian.PutUint32(b[begin+4:], crc32.Checksum(content, castagnoli))
	return b
}

func appendDelete(b []byte, id uint64) []byte {
	return appendRecord(b, recordDelete, func(b []byte) []byte { return binary.AppendUvarint(b, id) })
}

func appendPut(b []byte, p stored) []byte {
	return appendRecord(b, recordPut, func(b []byte) []byte { return appendStored(b, p) })
}

func appendStored(b []byte, p stored) []byte {
	e := p.entry
	b = binary.AppendUvarint(b, p.id)
	b = binary.LittleEndian.AppendUint32(b, p.sum)
	b = binary.AppendUvarint(b, uint64(e.Size))
	b = binary.AppendVarint(b, e.Stored.UnixNano())
	purged := uint64(0)
	if e.Purged {
		purged = 1
	}
	b = binary.AppendUvarint(b, purged)
	b = binary.AppendUvarint(b, uint64(e.Status))
	for _, s := range []string{p.space, p.key, e.Variant, string(e.Meta)} {
		b = appendText(b, s)
	}
	for _, list := range [][]exchange.Field{e.Header.Fields(), e.Trailer} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, f := range list {
			b = appendText(appendText(b, f.Name), f.Value)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.Tags)))
	for _, t := range e.Tags {
		b = appendText(b, t)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// readRecord returns the content of the next record in buf, or in memory of its
// own: io.EOF at the end, errRecord if what follows is none.
func readRecord(r io.Reader, buf []byte) ([]byte, error) {
	var frame [frameBytes]byte
	if _, err := io.ReadFull(r, frame[:]); err == io.EOF {
		return nil, io.EOF
	} else if err != nil {
		return nil, errRecord
	}
	n := binary.LittleEndian.Uint32(frame[:])
	if n == 0 || n > maxRecord {
		return nil, errRecord
	}
	if uint32(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil || crc32.Checksum(buf, castagnoli) != binary.LittleEndian.Uint32(frame[4:]) {
		return nil, errRecord
	}
	return buf, nil
}

// decoder takes a record's content apart. After the first thing that is not as it
// should be, all is zero.
type decoder struct {
	text string
	bad  bool
}

func (d *decoder) fail() { d.text, d.bad = "", true }

func (d *decoder) take(n uint64) string {
	if n > uint64(len(d.text)) {
		d.fail()
		return ""
	}
	s := d.text[:n]
	d.text = d.text[n:]
	return s
}

func (d *decoder) number() uint64 {
	var b [binary.MaxVarintLen64]byte
	v, n := binary.Uvarint(b[:copy(b[:], d.text)])
	if n <= 0 {
		d.fail()
		return 0
	}
	d.text = d.text[n:]
	return v
}

func (d *decoder) signed() int64 {
	u := d.number()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) string() string { return d.take(d.number()) }

func (d *decoder) fields() []exchange.Field {
	var list []exchange.Field
	for n := d.number(); n > 0 && !d.bad; n-- {
		list = append(list, exchange.Field{Name: d.string(), Value: d.string()})
	}
	return list
}

// decodeStored reads what appendStored wrote; it checks what Create does.
func decodeStored(d *decoder) (stored, error) {
	p := stored{id: d.number()}
	if sum := d.take(4); !d.bad {
		p.sum = binary.LittleEndian.Uint32([]byte(sum))
	}
	size, at, purged := d.number(), d.signed(), d.number()
	h := Head{Status: int(d.number())}
	p.space, p.key, h.Variant = d.string(), d.string(), d.string()
	h.Meta = []byte(d.string())
	h.Fields = d.fields()
	trailer := d.fields()
	for n := d.number(); n > 0 && !d.bad; n-- {
		h.Tags = append(h.Tags, d.string())
	}
	if d.bad || d.text != "" || p.key == "" || len(p.key) > MaxKeyBytes || !h.sound() || !soundTrailer(trailer) ||
		int64(size) < 0 || purged > 1 {
		return p, errRecord
	}
	p.entry = newEntry(&h, time.Unix(0, at))
	p.entry.addTrailer(trailer)
	p.entry.Size, p.entry.Purged = int64(size), purged == 1
	return p, nil
}
