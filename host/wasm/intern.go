package wasm

// intern remembers short strings that a guest handed over. Policies name the
// same fields and often set the same values for each exchange; those cost no
// allocation. Each place holds the last string that fell on it.
type intern [64]string

// maxInterned bounds what is remembered: 64 places of it are 8 KiB an instance.
const maxInterned = 128

func (in *intern) string(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxInterned {
		return string(b)
	}
	hash := uint32(2166136261) // FNV-1a
	for _, c := range b {
		hash = (hash ^ uint32(c)) * 16777619
	}
	place := &in[hash%uint32(len(in))]
	if *place != string(b) {
		*place = string(b)
	}
	return *place
}
