package recovery_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/recovery"
)

// TestWriter measures something that is known: who is asked answers in 3 ms, but for half a
// second in which nobody does, and another in which all is refused.
func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		since := func() time.Duration { return time.Since(began) }
		w := recovery.Start(10*time.Millisecond, 200*time.Millisecond, func(ctx context.Context, _ int) error {
			<-time.After(3 * time.Millisecond)
			switch at := since(); {
			case at > time.Second && at < 1500*time.Millisecond:
				<-ctx.Done()
				return ctx.Err()
			case at > 2*time.Second && at < 2500*time.Millisecond:
				return errors.New("refused")
			}
			return nil
		})
		<-time.After(time.Second)
		moment := time.Now()
		took, err := w.Again(t.Context(), moment)
		if err != nil || took != 503*time.Millisecond {
			t.Errorf("it was answered again after %v, %v", took, err)
		}
		<-time.After(1500 * time.Millisecond)
		for _, c := range []struct {
			from, until, longest time.Duration
			failed               int
		}{
			{0, 995 * time.Millisecond, 13 * time.Millisecond, 0},
			{500 * time.Millisecond, 1800 * time.Millisecond, 510 * time.Millisecond, 50},
			{1900 * time.Millisecond, 2600 * time.Millisecond, 510 * time.Millisecond, 50},
			{1900 * time.Millisecond, 2200 * time.Millisecond, 207 * time.Millisecond, 21},
		} {
			if longest, failed := w.Pause(began.Add(c.from), began.Add(c.until)); longest != c.longest || failed != c.failed {
				t.Errorf("from %v until %v it paused for %v, and %d failed; want %v and %d", c.from, c.until, longest, failed, c.longest, c.failed)
			}
		}
		w.End()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if took, err := w.Again(ctx, time.Now()); err == nil {
			t.Errorf("after its end it was answered after %v", took)
		}
	})
}

func TestTable(t *testing.T) {
	ms := func(n ...time.Duration) (times []time.Duration) {
		for _, n := range n {
			times = append(times, n*time.Millisecond)
		}
		return times
	}
	rows := []*recovery.Row{
		{Name: "quick", Median: time.Second, Worst: 3 * time.Second, Times: ms(2999, 1, 1000)},
		{Name: "slow in the middle", Median: time.Second, Worst: 3 * time.Second, Times: ms(2, 1002, 1001)},
		{Name: "slow at worst", Worst: 3 * time.Second, Times: ms(3001, 1)},
		{Name: "free", Times: ms(7)},
		{Name: "never", Worst: time.Second},
	}
	var out strings.Builder
	if err := recovery.Print(&out, rows); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"RECOVERY            ROUNDS  MEDIAN  WORST   TARGET",
		"quick               3       1s      2.999s  median ≤ 1s, worst ≤ 3s: reached",
		"slow in the middle  3       1.001s  1.002s  median ≤ 1s, worst ≤ 3s: missed",
		"slow at worst       2       3.001s  3.001s  worst ≤ 3s: missed",
		"free                1       7ms     7ms     none",
		"never               0       0s      0s      worst ≤ 1s: missed",
		"",
	}, "\n")
	if out.String() != want {
		t.Errorf("the table is\n%swant\n%s", out.String(), want)
	}
}
