package main

import (
	"fmt"
	"slices"
)

// A target says what the ratio of a figure between two of a scenario's rivals should be, or, with nothing
// to compare with, the figure itself.
type target struct {
	figure    string
	of, over  string
	atLeast   bool
	threshold float64
}

// Names of figures that targets are about.
const (
	throughput = "operations/s"
	typical    = "p50"
	rare       = "p99"
	failures   = "errors"
)

// rareBeside is no figure of a target, but stands beside one: the p99 of those operations alone that were under way beside one that is looked at for what it does to them.
const rareBeside = "p99 beside a wide one"

// A standing is how a target stands: the median over the rounds, and how far they differ.
type standing struct {
	Figure  string  `json:"figure"`
	Of      string  `json:"of"`
	Over    string  `json:"over,omitempty"` // without it, what is judged is the figure itself
	Wanted  float64 `json:"wanted"`
	AtLeast bool    `json:"atLeast"` // or at most
	Got     float64 `json:"got"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	Rounds  int     `json:"rounds"` // 0 if it was not measured
	Failed  int     `json:"failed"` // requests of those that are compared
	Reached bool    `json:"reached"`
}

// judge says how a target stands. It is not reached if any request of those failed that are compared: who does less of what
// was asked may well be faster.
func (t target) judge(results []result) standing {
	s := standing{Figure: t.figure, Of: t.of, Over: t.over, Wanted: t.threshold, AtLeast: t.atLeast}
	compared := make(map[string]result)
	for _, r := range results {
		if r.Name != t.of && r.Name != t.over {
			continue
		}
		compared[r.Name] = r
		for _, run := range r.Runs {
			s.Failed += int(valueOf(run, failures))
		}
	}
	var values []float64
	if t.over == "" {
		for _, run := range compared[t.of].Runs {
			values = append(values, valueOf(run, t.figure))
		}
	} else {
		values = ratios(compared[t.of], compared[t.over], t.figure)
	}
	values = slices.DeleteFunc(values, func(v float64) bool { return v == 0 }) // nothing of that kind happened in that round
	if s.Rounds = len(values); s.Rounds == 0 {
		return s
	}
	s.Got, s.Lowest, s.Highest = median(values), slices.Min(values), slices.Max(values)
	kept := s.Got <= s.Wanted
	if t.atLeast {
		kept = s.Got >= s.Wanted
	}
	s.Reached = kept && s.Failed == 0
	return s
}

// ratios are those of a figure between two contestants, by round: in a round they ran side by side, and
// what else the machine did came to both. A round that one of them has not, or with nothing to divide by, is left out.
func ratios(of, over result, name string) []float64 {
	var all []float64
	for round := range min(len(of.Runs), len(over.Runs)) {
		a, one := lookUp(of.Runs[round], name)
		b, other := lookUp(over.Runs[round], name)
		if one && other && b != 0 {
			all = append(all, a/b)
		}
	}
	return all
}

// String says it in a line.
func (s standing) String() string {
	what := fmt.Sprintf("%s of %s", s.Figure, s.Of)
	write := number
	if s.Over != "" {
		write = func(v float64) string { return fmt.Sprintf("%.2f", v) }
	}
	verdict, sign := "MISSED: ", "at most"
	if s.Reached {
		verdict = "reached: "
	}
	if s.AtLeast {
		sign = "at least"
	}
	if s.Failed > 0 {
		verdict += fmt.Sprintf("%d requests failed; ", s.Failed)
	}
	switch {
	case s.Rounds == 0 && s.Over != "":
		return fmt.Sprintf("target: %s to %s was not measured", what, s.Over)
	case s.Rounds == 0:
		return fmt.Sprintf("target: %s was not measured", what)
	case s.Over != "":
		what += fmt.Sprintf(" is %s times that of %s", write(s.Got), s.Over)
	default:
		what += " is " + write(s.Got)
	}
	if s.Rounds > 1 {
		what += fmt.Sprintf(" (%s to %s in %d rounds)", write(s.Lowest), write(s.Highest), s.Rounds)
	}
	return fmt.Sprintf("target %s%s, wanted %s %s", verdict, what, sign, write(s.Wanted))
}
