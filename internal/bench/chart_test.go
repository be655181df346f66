package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// saved are the reports of a run: of one system and a peer, with a name that a picture must not take for markup.
func saved() []report {
	one := func(name string, rate float64) result {
		return result{Name: name, Median: []figure{{throughput, "", rate}}}
	}
	return []report{{
		Benchmark: "bump-64", Environment: map[string]string{"tesd": "v1<2>", "bare raft": "v1", "cores": "2"}, Settings: map[string]string{"rounds": "3", "duration": "5s"},
		Results: []result{one("tesd, leader", 1500), one("bare raft, tuned", 2000), {Name: "etcd"}},
	}}
}

// TestChart reads the picture again, as a program would that shows it.
func TestChart(t *testing.T) {
	c, err := chartOf(saved())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	bars := make(map[string]string)
	for d := xml.NewDecoder(strings.NewReader(string(c.svg()))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			texts = append(texts, string(token))
		case xml.StartElement:
			attributes := make(map[string]string)
			for _, a := range token.Attr {
				attributes[a.Name.Local] = a.Value
			}
			if token.Name.Local == "rect" && attributes["class"] != "ground" {
				bars[attributes["class"]] = attributes["width"]
			}
		}
	}
	all := strings.Join(texts, "|")
	for _, want := range []string{"Bumps of 1,000 entities by 64 clients", "tesd, leader", "1,500", "bare raft, tuned", "2,000", "0.75×", "operations/s", "v1<2>"} {
		if !strings.Contains(all, want) {
			t.Errorf("the picture does not say %q: %s", want, all)
		}
	}
	var ours, other float64
	if err := errors.Join(json.Unmarshal([]byte(bars["ours"]), &ours), json.Unmarshal([]byte(bars["other"]), &other)); err != nil {
		t.Fatal(err)
	}
	if len(bars) != 2 || ours/other < 0.74 || ours/other > 0.76 {
		t.Errorf("bars of 1,500 and 2,000 are %v wide", bars)
	}
}

func TestChartFromFile(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "load.json"), filepath.Join(dir, "chart.svg")
	if err := saveJSON(from, saved()); err != nil {
		t.Fatal(err)
	}
	if err := runChart(t.Context(), []string{"--json", from, "--out", to}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); err != nil || !strings.HasPrefix(string(text), "<svg") {
		t.Errorf("the file: %.20s, %v", text, err)
	}
	for _, targets := range []any{[]string{"target reached: p50"}, []standing{{Figure: typical, Rounds: 1}}} {
		var older []map[string]any
		if text, err := json.Marshal(saved()); err != nil || json.Unmarshal(text, &older) != nil {
			t.Fatal(err)
		}
		older[0]["targets"] = targets
		if err := saveJSON(from, older); err != nil {
			t.Fatal(err)
		}
		if err := runChart(t.Context(), []string{"--json", from, "--out", to}, io.Discard); err != nil {
			t.Errorf("with targets like %v: %v", targets, err)
		}
	}
	if err := saveJSON(from, []report{{Benchmark: "watch"}}); err != nil {
		t.Fatal(err)
	}
	if err := runChart(t.Context(), []string{"--json", from, "--out", to}, io.Discard); err == nil {
		t.Error("figures without a throughput were drawn")
	}
	if err := runChart(t.Context(), []string{"--json", from}, io.Discard); !errors.Is(err, errUsage) {
		t.Errorf("without --out: %v", err)
	}
}

func TestAxis(t *testing.T) {
	for longest, want := range map[float64]float64{9400: 2000, 12400: 5000, 25000: 5000, 145: 50, 77600: 20000, 1000: 200} {
		if got := tickStep(longest); got != want {
			t.Errorf("the marks of an axis to %v are %v apart, not %v", longest, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 999.6: "1,000", 1234567: "1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("%v is written %s, not %s", v, got, want)
		}
	}
}
