package main

import (
	"io/fs"
	"runtime"
	"strconv"
	"strings"
)

// machine is where a run was made.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`

	// LoadAverage is over the minute before the run: above zero, something else used the cores too.
	LoadAverage float64 `json:"load_average_before"`
}

// busyLoad is the load average from which a run's figures are not to be trusted: half a core is taken.
const busyLoad = 0.5

func (m machine) String() string {
	return strings.Join([]string{m.CPU, plural(m.Cores, "core"), "Linux " + m.Kernel, m.Go}, ", ")
}

func readMachine(proc fs.FS) machine {
	m := machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Kernel: "unknown", Go: runtime.Version()}
	if text, err := fs.ReadFile(proc, "sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if text, err := fs.ReadFile(proc, "cpuinfo"); err == nil {
		if model := cpuModel(string(text)); model != "" {
			m.CPU = model
		}
	}
	if text, err := fs.ReadFile(proc, "loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		m.LoadAverage, _ = strconv.ParseFloat(first, 64) // 0, as without the file, when it is no number
	}
	return m
}

// cpuModel is the first model name in /proc/cpuinfo; empty where the architecture gives none.
func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		name, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
