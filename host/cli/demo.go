package cli

import (
	"fmt"
	"net"
	"slices"
)

// printDemo prints commands that show what the manifest in the repository's root
// does; its listener, its key and the header it sets are named here.
func printDemo(p *printer, h *host) {
	address := demoAddress(h)
	fmt.Fprintf(p.w, "\n%s\n", p.bold.Render("Try, in another terminal:"))
	for _, line := range []struct{ what, command string }{
		{"refused: no key", "curl -i http://" + address + "/api/hello"},
		{"let through, and told what arrived", "curl -i -H 'x-api-key: demo' http://" + address + "/api/hello"},
	} {
		fmt.Fprintf(p.w, "  %s  %s\n", line.command, p.dim.Render("# "+line.what))
	}
	if h.admin != nil {
		fmt.Fprintf(p.w, "  %s  %s\n",
			`sed 's/x-policy = "1"/x-policy = "2"/' proxy.toml | curl --data-binary @- -H 'content-type: application/toml' http://`+h.admin.Address()+"/v1/swap",
			p.dim.Render("# swap a policy while traffic flows"))
	}
	fmt.Fprintln(p.w)
}

// demoAddress is the first listener's in order of names.
func demoAddress(h *host) string {
	addrs := h.server.Addrs()
	names := make([]string, 0, len(addrs))
	for name := range addrs {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return net.JoinHostPort("127.0.0.1", "8080")
	}
	return addrs[names[0]].String()
}
