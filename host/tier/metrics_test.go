package tier

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// scrape returns the metrics as text.
func scrape(m *telemetry.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	m := telemetry.NewMetrics("test")
	a := &fake{name: "a"}
	b := &fake{name: "b", head: breaks(policy.Trap)}
	c := &fake{name: "c", head: answers(403)}
	weak, _ := failing(policy.Config)
	stage := stageOf(a, b, c)
	stage.Uses = append([]UseSpec{weak.Uses[0]}, stage.Uses...)
	stage.OnError = skipAll
	tier, err := New(Spec{Name: "edge", Config: manifest.Tier{MaxInFlight: 1}, Stages: []StageSpec{stage}, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	for range maxFailures + 1 {
		carry(t, newExchange(), replies(200, ""), tier)
	}
	carry(t, newExchange(), func(*exchange.Exchange) *exchange.Failure { t.Error("not answered"); return nil }, tier)

	text := scrape(m)
	labels := func(name, version, outcome string) string {
		return `{outcome="` + outcome + `",policy="` + name + `",stage="only",tier="edge",version="` + version + `"}`
	}
	for _, line := range []string{
		"ergo_policy_calls_total" + labels("a", "1.0.0", "continued") + " 7",
		"ergo_policy_calls_total" + labels("b", "1.0.0", "trapped") + " 5",
		"ergo_policy_calls_total" + labels("b", "1.0.0", "quarantined") + " 2",
		"ergo_policy_calls_total" + labels("c", "1.0.0", "answered") + " 7",
		"ergo_policy_calls_total" + labels("weak", "", "misconfigured") + " 7",
		`ergo_policy_calls_in_flight{policy="a",stage="only",tier="edge",version="1.0.0"} 0`,
		`ergo_stage_exchanges_total{outcome="misconfigured",stage="only",tier="edge"} 5`,
		`ergo_stage_exchanges_total{outcome="quarantined",stage="only",tier="edge"} 2`,
		`ergo_tier_exchanges_total{outcome="misconfigured",tier="edge"} 5`,
		`ergo_tier_exchanges_in_flight{tier="edge"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	tier.Close()
	if text := scrape(m); strings.Contains(text, `policy="a"`) || strings.Contains(text, `tier="edge"`) {
		t.Error("series of a closed tier are still exported")
	}
}
