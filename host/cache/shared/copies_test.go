package shared

import "testing"

func TestPlacesAreInOrder(t *testing.T) {
	places := []string{"9-0", "9-9", "9-10", "10-0", "1700000000000-1"}
	for i, a := range places {
		for j, b := range places {
			if got := before(a, b); got != (i < j) {
				t.Errorf("%s before %s: got %v", a, b, got)
			}
		}
	}
}
