package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// rounds is the result of a contestant whose figure had these values, and a number of whose requests failed in the last round.
func rounds(name string, failed float64, values ...float64) result {
	r := result{Name: name}
	for i, v := range values {
		errors := 0.0
		if i == len(values)-1 {
			errors = failed
		}
		r.Runs = append(r.Runs, []figure{{throughput, "", v}, {failures, "", errors}})
	}
	r.Median = medians(r.Runs)
	return r
}

// TestJudge: a ratio is the median of those of the rounds, which is not that of the medians.
func TestJudge(t *testing.T) {
	// The machine was slow in two rounds, for both alike: the ratios are 2, 1.5 and 1, and that of the medians 3.
	ours, other := rounds("a", 0, 200, 300, 100), rounds("b", 0, 100, 200, 100)
	far := rounds("c", 0, 1000, 100, 10)
	for _, c := range []struct {
		name    string
		target  target
		results []result
		want    standing
		says    string
	}{
		{"at least", target{throughput, "a", "b", true, 1.5}, []result{ours, other},
			standing{throughput, "a", "b", 1.5, true, 1.5, 1, 2, 3, 0, true},
			"target reached: operations/s of a is 1.50 times that of b (1.00 to 2.00 in 3 rounds), wanted at least 1.50"},
		{"too little", target{throughput, "a", "b", true, 1.6}, []result{other, ours},
			standing{throughput, "a", "b", 1.6, true, 1.5, 1, 2, 3, 0, false},
			"target MISSED: operations/s of a is 1.50 times that of b (1.00 to 2.00 in 3 rounds), wanted at least 1.60"},
		{"too much", target{throughput, "a", "b", false, 1.4}, []result{ours, other},
			standing{throughput, "a", "b", 1.4, false, 1.5, 1, 2, 3, 0, false}, "wanted at most 1.40"},
		{"not of the medians", target{throughput, "a", "c", true, 2}, []result{ours, far},
			standing{throughput, "a", "c", 2, true, 3, 0.2, 10, 3, 0, true}, "is 3.00 times"},
		{"a round less", target{throughput, "a", "b", true, 1}, []result{ours, rounds("b", 0, 100, 100)},
			standing{throughput, "a", "b", 1, true, 2.5, 2, 3, 2, 0, true}, "in 2 rounds"},
		{"alone", target{throughput, "a", "", false, 250}, []result{ours},
			standing{throughput, "a", "", 250, false, 200, 100, 300, 3, 0, true},
			"target reached: operations/s of a is 200 (100 to 300 in 3 rounds), wanted at most 250"},
		{"failed", target{throughput, "a", "b", true, 1.5}, []result{rounds("a", 3, 200), other},
			standing{throughput, "a", "b", 1.5, true, 2, 2, 2, 1, 3, false}, "target MISSED: 3 requests failed; operations/s of a is 2.00 times that of b, wanted"},
		{"the other failed", target{throughput, "a", "b", true, 1.5}, []result{ours, rounds("b", 1, 100, 200, 100), rounds("c", 7, 1)},
			standing{throughput, "a", "b", 1.5, true, 1.5, 1, 2, 3, 1, false}, "1 requests failed"},
		{"not there", target{throughput, "a", "b", true, 1.5}, []result{ours},
			standing{Figure: throughput, Of: "a", Over: "b", Wanted: 1.5, AtLeast: true}, "target: operations/s of a to b was not measured"},
		{"nothing happened", target{"snapshots", "a", "", false, 1}, []result{ours},
			standing{Figure: "snapshots", Of: "a", Wanted: 1}, "target: snapshots of a was not measured"},
	} {
		got := c.target.judge(c.results)
		if got != c.want || !strings.Contains(got.String(), c.says) {
			t.Errorf("%s: %+v, %s", c.name, got, got)
		}
	}
}

// TestTargetsAreSavedAsNumbers, which a program reads.
func TestTargetsAreSavedAsNumbers(t *testing.T) {
	s := target{throughput, "a", "b", true, 1.5}.judge([]result{rounds("a", 0, 300), rounds("b", 0, 100)})
	text, err := json.Marshal(report{Targets: []standing{s}})
	const want = `"targets":[{"figure":"operations/s","of":"a","over":"b","wanted":1.5,"atLeast":true,"got":3,"lowest":3,"highest":3,"rounds":1,"failed":0,"reached":true}]`
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s, %v", text, err)
	}
}
