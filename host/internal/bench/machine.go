package main

import (
	"io/fs"
	"runtime"
	"strings"
)

// machine is where a run was made.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

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
