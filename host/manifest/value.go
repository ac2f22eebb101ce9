package manifest

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unique"
)

// Duration is a time.Duration, written as Go does: "250ms", "1m30s".
type Duration time.Duration

// D returns the value as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalText accepts what time.ParseDuration does, except negative values.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText returns the form that UnmarshalText accepts.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Size is a number of bytes, written as "64KiB", "16MiB", "1GiB" or "512B".
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText accepts a whole number with one of the units B, KiB, MiB, GiB,
// up to 2^50 bytes.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 50)
		if err != nil || n > (1<<50)/uint64(u.bytes) {
			break
		}
		*s = Size(n) * Size(u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size", text)
}

// MarshalText returns the value in the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range sizeUnits {
		if int64(s)%u.bytes == 0 && int64(s) >= u.bytes {
			return fmt.Appendf(nil, "%d%s", int64(s)/u.bytes, u.suffix), nil
		}
	}
	return []byte("0B"), nil
}

// Secret is a string that is never printed, logged or served, whatever the verb
// or encoder. In TOML it is literal, or a reference: "env:NAME" or "file:path".
// The zero value is no secret. Equal secrets from equal references are equal.
type Secret struct {
	// A handle compares as its string does, but is a pointer to whatever prints
	// by reflection: fmt calls no method for a verb such as %p.
	value     unique.Handle[string]
	reference string
}

// NewSecret wraps a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: unique.Make(value)}
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.value == (unique.Handle[string]{}) {
		return ""
	}
	return s.value.Value()
}

const redacted = "(secret)"

// String is the reference that the secret came from, or says only that there is
// a secret.
func (s Secret) String() string {
	if s.reference == "" && s.Reveal() != "" {
		return redacted
	}
	return s.reference
}

// Format keeps the secret out of every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of what is served.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
