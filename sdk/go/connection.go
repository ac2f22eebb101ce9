package guest

// Secure reports whether the client came over TLS: to the trusted proxy that it met, where
// there is one that says so, else to this host. Nothing that a client or a policy writes
// changes it. It needs the grant ergo_connection.
func Secure() bool { return string(read(getClientScheme)) == "https" }
