package main

import (
	"runtime"
	"testing"
	"testing/fstest"
)

func TestReadMachine(t *testing.T) {
	proc := fstest.MapFS{
		"cpuinfo":              {Data: []byte("processor\t: 0\nmodel name\t: Fast: 3 GHz\nmodel name\t: other\n")},
		"sys/kernel/osrelease": {Data: []byte("6.1.0\n")},
		"loadavg":              {Data: []byte("1.25 0.50 0.10 2/300 12345\n")},
	}
	if got := readMachine(proc); got.CPU != "Fast: 3 GHz" || got.Kernel != "6.1.0" || got.Cores < 1 || got.LoadAverage != 1.25 {
		t.Errorf("machine is %+v", got)
	}
	if got := readMachine(fstest.MapFS{}); got.CPU != runtime.GOARCH || got.Kernel != "unknown" || got.LoadAverage != 0 {
		t.Errorf("machine without /proc is %+v", got)
	}
}
