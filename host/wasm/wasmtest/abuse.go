package wasmtest

import (
	"iter"
	"math/rand/v2"
)

// bad are the values by which a guest can hope to break something: pointers to
// nothing, to the last bytes of memory and past them, and lengths that no memory
// has, or that make a pointer wrap around.
var bad = []uint64{
	0, 1, 3, 4, 7, 255,
	MemoryBytes - 4, MemoryBytes - 1, MemoryBytes, MemoryBytes + 1,
	1<<31 - 1, 1 << 31, 1<<32 - MemoryBytes, 1<<32 - 4, 1<<32 - 1,
	1 << 32, 1 << 63, 1<<64 - 1,
}

// sound are values that may do as a pointer, a length or a kind.
var sound = []uint64{0, 1, 2, 8, 64, 1024, 4096}

// Abuse is every way in which a guest calls a function of so many parameters: all
// of them bad alike, each of them bad among sound ones, and many by chance, of
// which the seed decides.
func Abuse(params int, seed uint64) iter.Seq[[]uint64] {
	return func(yield func([]uint64) bool) {
		random := rand.New(rand.NewPCG(seed, 1))
		pick := func(from []uint64) uint64 { return from[random.IntN(len(from))] }
		if params == 0 {
			yield(nil)
			return
		}
		for _, value := range bad {
			if !yield(fill(params, func(int) uint64 { return value })) {
				return
			}
		}
		for place := range params {
			for _, value := range bad {
				if !yield(fill(params, func(i int) uint64 {
					if i == place {
						return value
					}
					return pick(sound)
				})) {
					return
				}
			}
		}
		for range 20 * params {
			if !yield(fill(params, func(int) uint64 {
				switch random.IntN(3) {
				case 0:
					return pick(bad)
				case 1:
					return pick(sound)
				}
				return random.Uint64() >> random.IntN(64)
			})) {
				return
			}
		}
	}
}

func fill(n int, value func(int) uint64) []uint64 {
	params := make([]uint64, n)
	for i := range params {
		params[i] = value(i)
	}
	return params
}
