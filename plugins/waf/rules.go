package main

import (
	"fmt"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
)

// roomOfEngine is what Coraza may buffer in memory of a body. What it is given is smaller,
// so that it never cuts one nor writes one to a disk.
const roomOfEngine = 2 << 20

// newEngine compiles the rules.
func newEngine(c *config) (coraza.WAF, error) {
	made := coraza.NewWAFConfig().WithRootFS(coreruleset.FS)
	for _, part := range []string{
		"Include @coraza.conf-recommended\n" + settings(c) + "Include @crs-setup.conf.example\n" + setup(c),
		before(c.Exclude),
		"Include @owasp_crs/*.conf\n",
		after(c.Exclude),
		c.Directives,
	} {
		if part != "" {
			made = made.WithDirectives(part)
		}
	}
	made = made.WithRequestBodyLimit(roomOfEngine).WithRequestBodyInMemoryLimit(roomOfEngine).
		WithResponseBodyLimit(roomOfEngine).WithResponseBodyMimeTypes(c.ResponseBody.Types)
	return coraza.NewWAF(made)
}

// settings are those of Coraza that are not the defaults of its authors.
func settings(c *config) string {
	engine := "On"
	if !c.blocks() {
		engine = "DetectionOnly"
	}
	return "SecRuleEngine " + engine + "\n" +
		"SecAuditEngine Off\n" +
		"SecArgumentsLimit 1000\n" +
		"SecRule ARGUMENTS_LIMIT_REACHED \"@eq 1\" \"id:200014,phase:1,t:none,log,deny,status:400,msg:'Too many arguments',severity:2\"\n" +
		"SecRule ARGUMENTS_LIMIT_REACHED \"@eq 1\" \"id:200015,phase:2,t:none,log,deny,status:400,msg:'Too many arguments',severity:2\"\n"
}

// crsContentTypes is what the Core Rule Set lets requests have.
const crsContentTypes = "|application/x-www-form-urlencoded| |multipart/form-data| |text/xml| |application/xml| |application/soap+xml| |application/json|"

// setup are the settings of the Core Rule Set.
func setup(c *config) string {
	types := crsContentTypes
	if c.GRPC {
		types += " |application/grpc| |application/grpc+proto| |application/grpc+json|"
	}
	for _, t := range c.ContentTypes {
		types += " |" + strings.ToLower(t) + "|"
	}
	return fmt.Sprintf("SecAction \"id:900110,phase:1,pass,t:none,nolog,"+
		"setvar:tx.blocking_paranoia_level=%d,setvar:tx.detection_paranoia_level=%d,"+
		"setvar:tx.inbound_anomaly_score_threshold=%d,setvar:tx.outbound_anomaly_score_threshold=%d,"+
		"setvar:'tx.allowed_methods=%s',setvar:'tx.allowed_request_content_type=%s'\"\n",
		c.Paranoia, c.DetectionParanoia, c.Threshold.In, c.Threshold.Out, strings.Join(c.Methods, " "), types)
}

// firstExclusion is the number of the first rule that stands for an exclusion: below those
// of the Core Rule Set, above those for local use.
const firstExclusion = 190000

// before has exclusions for a path hold, before the rules run. The path is compared as it is
// decoded and without dots, so that no detour through it is excluded.
func before(list []exclusion) string {
	var b strings.Builder
	for n, e := range list {
		if e.Path == "" {
			continue
		}
		operator, path := "@streq", e.Path
		if prefix, ok := strings.CutSuffix(path, "*"); ok {
			operator, path = "@beginsWith", prefix
		}
		fmt.Fprintf(&b, "SecRule REQUEST_FILENAME \"%s %s\" \"id:%d,phase:1,pass,nolog,t:none,t:normalizePath", operator, path, firstExclusion+n)
		byID, byTag, target := "ruleRemoveById", "ruleRemoveByTag", ""
		if e.Target != "" {
			byID, byTag, target = "ruleRemoveTargetById", "ruleRemoveTargetByTag", ";"+e.Target
		}
		for _, r := range e.Rules {
			fmt.Fprintf(&b, ",ctl:%s=%s%s", byID, r, target)
		}
		for _, t := range e.Tags {
			fmt.Fprintf(&b, ",ctl:%s=%s%s", byTag, t, target)
		}
		b.WriteString("\"\n")
	}
	return b.String()
}

// after takes rules out, or targets out of rules, everywhere.
func after(list []exclusion) string {
	var b strings.Builder
	for _, e := range list {
		if e.Path != "" {
			continue
		}
		verb, target := "Remove", ""
		if e.Target != "" {
			verb, target = "UpdateTarget", fmt.Sprintf(" \"!%s\"", e.Target)
		}
		for _, r := range e.Rules {
			fmt.Fprintf(&b, "SecRule%sById %s%s\n", verb, r, target)
		}
		for _, t := range e.Tags {
			fmt.Fprintf(&b, "SecRule%sByTag %s%s\n", verb, t, target)
		}
	}
	return b.String()
}
