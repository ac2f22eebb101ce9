package server

import (
	"strconv"
	"strings"
)

// Problem is one reason why listeners can't be as the manifest wants them.
type Problem struct {
	Listener int    // index in the manifest
	Path     string // key below the listener: "address", "tls.certificates[0].key"
	Err      error
}

func (p *Problem) Error() string {
	return "listener[" + strconv.Itoa(p.Listener) + "]." + p.Path + ": " + p.Err.Error()
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Problems is the error of Prepare: everything that is wrong.
type Problems []*Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As look into each.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}
