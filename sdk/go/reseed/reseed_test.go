package reseed

import "testing"

func TestReseed(t *testing.T) {
	defer With(nil)
	reseed() // there is nothing to draw
	drawn := 0
	With(func() { drawn++ })
	reseed()
	reseed()
	if drawn != 2 {
		t.Errorf("drawn %d times, want 2", drawn)
	}
}
