// Command waf is a policy that inspects requests and responses with Coraza and the
// OWASP Core Rule Set, and refuses what scores as an attack.
package main

import "github.com/ergoproxy/ergo/sdk/plugin"

func main() {
	plugin.Serve(func(c plugin.Config) (any, error) { return newFirewall(c.JSON) })
}
