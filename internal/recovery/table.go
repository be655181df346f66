package recovery

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Row is what one thing that goes wrong costs, in several rounds of it.
type Row struct {
	Name          string
	Median, Worst time.Duration // what may be reached at most; 0 for no target
	Times         []time.Duration
}

// Missed says which target was not reached; "" if all were.
func (r *Row) Missed() string {
	median, worst := summary(r.Times)
	switch {
	case len(r.Times) == 0:
		return "there is no figure"
	case r.Median > 0 && median > r.Median:
		return fmt.Sprintf("the median is %v, the target %v", round(median), r.Median)
	case r.Worst > 0 && worst > r.Worst:
		return fmt.Sprintf("the worst is %v, the target %v", round(worst), r.Worst)
	}
	return ""
}

// Print writes rows as a table, with their targets and whether those are reached.
func Print(out io.Writer, rows []*Row) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RECOVERY\tROUNDS\tMEDIAN\tWORST\tTARGET")
	for _, r := range rows {
		median, worst := summary(r.Times)
		reached := "missed"
		if r.Missed() == "" {
			reached = "reached"
		}
		target := fmt.Sprintf("worst ≤ %v: %s", r.Worst, reached)
		if r.Median > 0 {
			target = fmt.Sprintf("median ≤ %v, %s", r.Median, target)
		}
		if r.Worst == 0 {
			target = "none"
		}
		fmt.Fprintf(table, "%s\t%d\t%v\t%v\t%s\n", r.Name, len(r.Times), round(median), round(worst), target)
	}
	return table.Flush()
}

// summary returns the upper median and the largest of the times; 0 if there are none.
func summary(times []time.Duration) (median, worst time.Duration) {
	if len(times) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2], sorted[len(sorted)-1]
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
