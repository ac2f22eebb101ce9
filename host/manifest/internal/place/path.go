package place

import (
	"strconv"
	"strings"
)

// Step is a part of a path: a key or the index of an array element.
type Step struct {
	Key       string
	Index     int
	IsElement bool
}

// Split takes a path apart. From where it is not a path, the rest is one key.
func Split(path string) []Step {
	var steps []Step
	for path != "" {
		switch path[0] {
		case '.':
			path = path[1:]
		case '[':
			digits, rest, _ := strings.Cut(path[1:], "]")
			index, err := strconv.Atoi(digits)
			if err != nil || index < 0 {
				return append(steps, Step{Key: path})
			}
			steps = append(steps, Step{Index: index, IsElement: true})
			path = rest
		case '"':
			quoted, err := strconv.QuotedPrefix(path)
			if err != nil {
				return append(steps, Step{Key: path})
			}
			key, _ := strconv.Unquote(quoted)
			steps = append(steps, Step{Key: key})
			path = path[len(quoted):]
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			steps = append(steps, Step{Key: path[:end]})
			path = path[end:]
		}
	}
	return steps
}

// Key returns the path of a key below path, or of a key below that key and so
// on; a key that TOML wants quoted is quoted.
func Key(path string, keys ...string) string {
	for _, key := range keys {
		if !IsBareKey(key) {
			key = strconv.Quote(key)
		}
		if path != "" {
			path += "."
		}
		path += key
	}
	return path
}

// Element returns the path of an array element below path.
func Element(path string, index int) string {
	return path + "[" + strconv.Itoa(index) + "]"
}

// IsBareKey reports whether TOML takes key without quotes.
func IsBareKey(key string) bool {
	for i := range len(key) {
		if !isBareKeyByte(key[i]) {
			return false
		}
	}
	return key != ""
}

// isBareKeyByte is the alphabet of bare keys (TOML 1.0, Keys).
func isBareKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
