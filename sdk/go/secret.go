package guest

// Secret returns the secret that the manifest names so for this policy, in
// [policy.NAME.secrets]. It needs the grant ergo_secret. Where a key is only to be
// used and not known, prefer a capability that uses it by its name: what is told
// here stays in the instance's memory.
func Secret(name string) (value string, found bool) {
	return readFound(func(buf []byte) uint32 { return getSecret(name, buf) })
}
