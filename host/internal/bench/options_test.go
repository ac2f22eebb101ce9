package main

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseOptionsDefaults(t *testing.T) {
	got, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got.rounds != 5 || got.duration != 3*time.Second || got.connections != 64 || got.folder != ".bench" || got.slow != 256 || got.idle != 5000 || got.profile || got.only != nil {
		t.Errorf("defaults are %+v", got)
	}
	want := []scenario{
		{name: "1KiB", path: "/1KiB", bytes: 1024},
		{name: "64KiB", path: "/64KiB", bytes: 65536},
		{name: "1MiB", path: "/1MiB", bytes: 1 << 20},
		{name: "deny", path: "/1KiB", bytes: 1024, kind: denied},
		{name: "slow-loris", path: "/1KiB", bytes: 1024, kind: crowded},
		{name: "idle", path: "/1KiB", bytes: 1024, kind: idle},
	}
	if !slices.Equal(got.scenarios, want) {
		t.Errorf("scenarios are %+v, want %+v", got.scenarios, want)
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	for arguments, want := range map[string]string{
		"-rounds 0":             "-rounds",
		"-connections 0":        "-connections",
		"-duration 500ms":       "-duration",
		"-duration 1500ms":      "-duration",
		"-slow 0":               "-slow",
		"-idle 0":               "-idle",
		"-idle 7001":            "-idle",
		"-scenarios ,":          "empty",
		"-scenarios idle,idle":  "twice",
		"-scenarios busy":       "busy",
		"-bodies 1KB":           "1KB",
		"-bodies 0B":            "0B",
		"-bodies 65MiB":         "65MiB",
		"-bodies 9999999999MiB": "9999999999MiB",
		"-unknown":              "-unknown",
		"stray":                 "stray",
	} {
		_, err := parseOptions(strings.Fields(arguments), io.Discard)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want wrong usage that names %q", arguments, err, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int{"1B": 1, "512B": 512, "1KiB": 1 << 10, "64KiB": 1 << 16, "64MiB": maxBodyBytes} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		err     error
		status  int
		printed string
	}{
		{nil, 0, ""},
		{flag.ErrHelp, 0, ""},
		{errors.New("broken"), 1, "bench: broken\n"},
		{errUsage, 2, "bench: wrong usage\n"},
	} {
		var printed strings.Builder
		if got := exitStatus(c.err, &printed); got != c.status || printed.String() != c.printed {
			t.Errorf("%v: status %d and %q, want %d and %q", c.err, got, printed.String(), c.status, c.printed)
		}
	}
}
