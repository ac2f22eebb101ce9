package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// config is what a use of the policy says; policy.toml has its schema and describes it.
type config struct {
	Mode              string      `json:"mode"`
	Paranoia          int         `json:"paranoia"`
	DetectionParanoia int         `json:"detection_paranoia"`
	Threshold         threshold   `json:"threshold"`
	Status            int         `json:"status"`
	Methods           []string    `json:"methods"`
	ContentTypes      []string    `json:"content_types"`
	GRPC              bool        `json:"grpc"`
	RequestBody       bodyConfig  `json:"request_body"`
	ResponseBody      bodyConfig  `json:"response_body"`
	Exclude           []exclusion `json:"exclude"`
	Directives        string      `json:"directives"`
}

type threshold struct {
	In  int `json:"in"`
	Out int `json:"out"`
}

type bodyConfig struct {
	Limit int      `json:"limit"` // bytes that are held and inspected
	Over  string   `json:"over"`  // what becomes of a larger one, of requests: "refuse" or "pass"
	Types []string `json:"types"` // media types that are inspected, of responses
}

// exclusion has rules not apply, or not to some part of a request.
type exclusion struct {
	Rules  []string `json:"rules"`
	Tags   []string `json:"tags"`
	Path   string   `json:"path"`   // where; "" is everywhere
	Target string   `json:"target"` // to what; "" is all
}

// newConfig reads a configuration that the schema takes.
func newConfig(text []byte) (*config, error) {
	c := &config{
		Mode: "block", Paranoia: 1, Threshold: threshold{In: 5, Out: 4}, Status: 403, GRPC: true,
		Methods:      []string{"GET", "HEAD", "POST", "OPTIONS"},
		RequestBody:  bodyConfig{Limit: 64 << 10, Over: "refuse"},
		ResponseBody: bodyConfig{Limit: 64 << 10},
	}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, err
	}
	if c.DetectionParanoia == 0 {
		c.DetectionParanoia = c.Paranoia
	}
	if c.DetectionParanoia < c.Paranoia {
		return nil, fmt.Errorf("detection_paranoia: %d is below paranoia, which is %d", c.DetectionParanoia, c.Paranoia)
	}
	if err := checkDirectives(c.Directives); err != nil {
		return nil, fmt.Errorf("directives: %w", err)
	}
	return c, nil
}

func (c *config) blocks() bool { return c.Mode == "block" }

// ownDirectives are those that a configuration may have. Others would change what the
// configuration says itself, write files, or reach the network.
var ownDirectives = map[string]bool{
	"secrule": true, "secaction": true, "secmarker": true,
	"secruleremovebyid": true, "secruleremovebytag": true, "secruleremovebymsg": true,
	"secruleupdatetargetbyid": true, "secruleupdatetargetbytag": true, "secruleupdateactionbyid": true,
}

// forbidden are the parts of rules that run programs, ask the network, or switch off what
// the configuration decides.
var forbidden = []string{"exec:", "@inspectfile", "@rbl", "@geolookup", "initcol:", "setsid:", "setuid:", "ctl:auditengine", "ctl:debugloglevel", "ctl:requestbodylimit", "ctl:responsebodylimit"}

var errBacktick = errors.New("a list in backticks is none of the directives that may stand here")

// checkDirectives checks that a text has no directives and no actions but those that may stand in a
// configuration. Whether they make sense is for Coraza to say.
func checkDirectives(text string) error {
	continued := false
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasSuffix(line, "`") {
			return fmt.Errorf("line %d: %w", n+1, errBacktick)
		}
		name, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		if !continued && !ownDirectives[strings.ToLower(name)] {
			return fmt.Errorf("line %d: %s is not a directive that may stand here", n+1, name)
		}
		continued = strings.HasSuffix(line, `\`)
	}
	// A line may end within a word, and Coraza takes blanks out of a list of actions.
	whole := strings.ToLower(strings.NewReplacer("\\\n", "", " ", "", "\t", "", "'", "", "\r", "", "\n", "").Replace(text))
	for _, part := range forbidden {
		if strings.Contains(whole, part) {
			return fmt.Errorf("%s may not stand here", part)
		}
	}
	return nil
}
