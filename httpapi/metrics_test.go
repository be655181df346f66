package httpapi_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// scrape reads the metrics named tesd_… as Prometheus does: a value for each series, named as
// Prometheus writes it; of a histogram the count.
func (h *harness) scrape() map[string]float64 {
	h.t.Helper()
	r := h.get("/metrics")
	if got := r.header.Get("Content-Type"); r.status != 200 || got != "text/plain; version=0.0.4; charset=utf-8" {
		h.t.Fatalf("status %d, Content-Type %q: %s", r.status, got, r.body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(r.body))
	if err != nil {
		h.t.Fatal(err)
	}
	series := make(map[string]float64)
	for name, family := range families {
		if !strings.HasPrefix(name, "tesd_") {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := make(model.LabelSet)
			for _, l := range m.GetLabel() {
				labels[model.LabelName(l.GetName())] = model.LabelValue(l.GetValue())
			}
			key := name
			if len(labels) > 0 {
				key += labels.String()
			}
			series[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return series
}

// applyMalformed gives the machine a command that cannot be read.
func (h *harness) applyMalformed() {
	h.t.Helper()
	command := fsm.EncodeCommand(nil, fsm.Command{Registry: "r", Op: fsm.Delete{EntityID: "e"}})
	raw, err := fsm.JoinEntry(firstStamp, [][]byte{command[:len(command)-1]})
	if err != nil {
		h.t.Fatal(err)
	}
	entry, err := fsm.DecodeEntry(raw)
	if err != nil {
		h.t.Fatal(err)
	}
	h.node.Apply(entry)
}

func TestMetrics(t *testing.T) {
	h := start(t)
	const bump = `{"scope":"patch","entityId":"global:main"}`
	h.post("/version/bump", bump, "Idempotency-Key: k")
	h.post("/version/bump", bump, "Idempotency-Key: k")
	h.post("/version/batch", `{"requests":[`+bump+`]}`)
	h.post("/version/bump", `{"dryRun":true,`+bump[1:])
	h.post("/version/bump", `{"scope":"patch","entityId":"nope"}`)
	h.post("/version/bump", `{"scope":"x"}`)
	h.node.proposeErr = cluster.ErrNoLeader
	h.post("/version/bump", bump)
	h.node.proposeErr = errors.New("a defect")
	h.post("/version/bump", bump)
	h.get("/nope")
	h.do("BREW", "/version/registry", "")
	h.applyMalformed()
	h.node.status.Compared = cluster.Comparison{Checks: 7, Mismatches: 2, Index: 4}
	want := map[string]float64{
		`tesd_build_info{go_version="` + runtime.Version() + `", version="(devel)"}`: 1,
		"tesd_leader": 1, "tesd_leader_known": 1, "tesd_ready": 1, "tesd_term": 2, "tesd_watch_connections": 0, "tesd_commit_index": 5, "tesd_applied_index": 5,
		"tesd_state_checks_total": 7, "tesd_state_mismatches_total": 2, "tesd_state_checked_index": 4,
		"tesd_registries": 1, "tesd_entities": 4, "tesd_idempotency_keys": 1, "tesd_malformed_commands_total": 1, "tesd_snapshot_failures_total": 0,
		`tesd_bumps_total{outcome="success"}`: 2, `tesd_bumps_total{outcome="replayed"}`: 1, `tesd_bumps_total{outcome="rejected"}`: 1,
		`tesd_bumps_total{outcome="not_applied"}`: 1, `tesd_bumps_total{outcome="unknown"}`: 1,
		"tesd_bump_duration_seconds":                                6,
		`tesd_http_requests_total{code="200", operation="migrate"}`: 1,
		`tesd_http_requests_total{code="200", operation="bump"}`:    3,
		`tesd_http_requests_total{code="200", operation="batch"}`:   1,
		`tesd_http_requests_total{code="404", operation="bump"}`:    1,
		`tesd_http_requests_total{code="400", operation="bump"}`:    1,
		`tesd_http_requests_total{code="503", operation="bump"}`:    1,
		`tesd_http_requests_total{code="500", operation="bump"}`:    1,
		`tesd_http_requests_total{code="404", operation="route"}`:   1,
		`tesd_http_requests_total{code="405", operation="route"}`:   1,
	}
	for _, operation := range []string{ // whose successes are counted from 0 on
		"addNode", "backup", "cluster", "delete", "entity", "events", "health", "history", "livez", "metrics", "openapi", "put",
		"readyz", "receipt", "registries", "registry", "removeNode", "transfer", "watch",
	} {
		want[`tesd_http_requests_total{code="200", operation="`+operation+`"}`] = 0
	}
	if diff := cmp.Diff(want, h.scrape()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestMetricsOfANodeThatCannotServe asks one that drains and knows of no leader.
func TestMetricsOfANodeThatCannotServe(t *testing.T) {
	h := start(t)
	h.node.status.Leader, h.node.status.Role = "", cluster.Follower
	h.server.Drain()
	got := h.scrape()
	for _, name := range []string{"tesd_leader", "tesd_leader_known", "tesd_ready"} {
		if value, ok := got[name]; value != 0 || !ok {
			t.Errorf("%s is %v", name, value)
		}
	}
	unfounded := startEmpty(t, newUnfoundedNode())
	if got := unfounded.scrape(); got["tesd_registries"] != 0 || got["tesd_leader_known"] != 0 {
		t.Errorf("before founding: %v", got)
	}
	h.get("/metrics?x=1").wantFailure(400, "INVALID_REQUEST")
}

// TestMetricsAreWellNamed runs the linter of Prometheus.
func TestMetricsAreWellNamed(t *testing.T) {
	h := start(t)
	h.post("/version/bump", bumpMain)
	problems, err := promlint.New(strings.NewReader(h.get("/metrics").body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("found %+v, %v", problems, err)
	}
}
