package smuggling

import (
	"strings"
	"testing"
)

// The sizes that stand in the messages are those of what they hide.
func TestSizesAreRight(t *testing.T) {
	if len(hidden) != 33 || len(inChunks) != 0x26 {
		t.Errorf("the hidden request has %d bytes, %d in chunks", len(hidden), len(inChunks))
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Requests() {
		if seen[r.Name] {
			t.Errorf("two requests are named %q", r.Name)
		}
		seen[r.Name] = true
	}
	for _, r := range Responses() {
		if name := "response " + r.Name; seen[name] {
			t.Errorf("two responses are named %q", r.Name)
		} else {
			seen[name] = true
		}
		if !r.Refused && strings.Contains(r.Body, Hidden) {
			t.Errorf("%s: the hidden answer is in the body", r.Name)
		}
	}
}
