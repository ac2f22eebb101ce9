//go:build race

package exchange

// Poison overwrites memory that views of an exchange's text pointed to, so that
// who kept one too long reads nonsense and a test fails. Only builds with the
// race detector do it.
func Poison(b []byte) {
	for i := range b {
		b[i] = '!'
	}
}
