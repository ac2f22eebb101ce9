// Command ergo is the host and the tool to operate it.
package main

import (
	"os"

	"github.com/ergoproxy/ergo/host/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr}))
}
