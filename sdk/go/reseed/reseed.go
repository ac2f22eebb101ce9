// Package reseed is for policies that are granted ergo_random and keep nothing by
// chance that clones must not share, or know how to draw it anew.
//
// A module that imports it exports ergo_reseed, which the host calls in each clone
// before it is used, and after each exchange if exchanges are isolated:
//
//	reseed.With(func() { guest.Random(key[:]) })
//
// What Go's runtime itself has drawn when the instance started stays shared by all
// clones: the seeds of maps and of math/rand. Use guest.Random for what must not be
// foretold.
package reseed

var draw func()

// With sets what draws anew; nil, as in the beginning: there is nothing to draw. It
// is called once, in an init function.
func With(f func()) { draw = f }

func reseed() {
	if draw != nil {
		draw()
	}
}
