package chaos_test

import (
	"context"
	"flag"
	"math"
	"net/http"
	"time"

	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/watchcheck"
)

var clocks = flag.Bool("chaos.clocks", false, "have clocks of processes be wrong, for which package time is built anew")

// canClock reports whether clocks of processes can be made wrong: not those of a command that is given.
func canClock() bool { return *clocks && *given == "" }

// build builds the command, so that clocks can be made wrong if they are to be.
func build(dir string) (string, error) {
	if canClock() {
		return e2e.BuildClocks(dir)
	}
	return e2e.Build(dir)
}

// clockCalamities have nodes be wrong about the time of day.
func (o *ordeal) clockCalamities() []calamity {
	if !o.on.clocked {
		return nil
	}
	return []calamity{{"fault: clock jumps", 3, false, o.clockJumps}, {"fault: clock drifts", 1, true, o.clockDrifts}}
}

// clockJumps has a node's clock jump by seconds to a year, forwards and backwards, and come back in the end.
func (o *ordeal) clockJumps(n *e2e.Node) (bit bool, err error) {
	const year = 365 * 24 * 60 * 60
	rng := o.chance()
	for range 3 {
		ahead := time.Duration(float64(leastWrong) * math.Pow(year/leastWrong.Seconds(), rng.Float64()))
		if rng.IntN(2) == 0 {
			ahead = -ahead
		}
		if err := n.Clock.Set(ahead); err != nil {
			return false, err
		}
		<-time.After(100*time.Millisecond + time.Duration(rng.Int64N(int64(900*time.Millisecond))))
		bit = o.servesWrong(n, ahead) || bit
	}
	return bit, n.Clock.Set(0)
}

// clockDrifts has a node's clock run at nothing to twice its speed for a while, and then be put right.
func (o *ordeal) clockDrifts(n *e2e.Node) (bit bool, err error) {
	speed := float64(1) // too much
	if o.chance().IntN(2) == 0 {
		speed = -speed
	}
	var ahead time.Duration
	for began := time.Now(); ahead.Abs() < leastWrong; <-time.After(5 * time.Millisecond) {
		ahead = time.Duration(speed * float64(time.Since(began)))
		if err := n.Clock.Set(ahead); err != nil {
			return false, err
		}
	}
	return o.servesWrong(n, ahead), n.Clock.Set(0)
}

// leastWrong is more than what the date of an answer, which has no fractions of seconds, may be off.
const leastWrong = 3 * time.Second

// servesWrong reports whether a node, whose clock is ahead by so much, answers with such a date.
func (o *ordeal) servesWrong(n *e2e.Node, ahead time.Duration) bool {
	ctx, cancel := context.WithTimeout(o.t.Context(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/livez", nil)
	if err != nil {
		return false
	}
	resp, err := o.HTTP().Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	off := time.Until(date)
	return err == nil && (off-ahead).Abs() < off.Abs()
}

// wronglyStamped counts the transactions whose stamps are of a time that has not come.
func wronglyStamped(h *watchcheck.History) (count int) {
	for _, t := range h.Transactions {
		if time.Until(time.UnixMilli(t.Timestamp)) > 0 {
			count++
		}
	}
	return count
}
