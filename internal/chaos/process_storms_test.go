package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/lan"
)

// A calamity strikes a running node, ends by itself, and reports whether it bit. The node may
// have ended by then.
type calamity struct {
	name   string
	often  int  // how often it comes, beside others
	slow   bool // it takes longer than others
	strike func(*e2e.Node) (bit bool, err error)
}

// calamities are all that can strike a node here.
func (o *ordeal) calamities() []calamity {
	all := []calamity{
		{killed, 4, false, o.killed}, {restarted, 3, false, o.restarted}, {stopped, 4, false, o.stopped},
		{"fault: little processor time", 2, false, o.starved}, {"fault: leadership handed over", 4, false, o.deposed},
		{"fault: too many open files", 3, false, o.crowded},
	}
	if o.on.traced {
		all = append(all,
			calamity{"fault: disk slow", 3, false, o.traces("fdatasync", "delay_enter=40000", time.Second, false)},
			calamity{"fault: disk fails", 2, false, o.traces("fdatasync", "error=EIO:when=3+", 5*time.Second, true)},
			calamity{"fault: disk full", 2, false, o.traces("pwrite64", "error=ENOSPC:when=5+", 5*time.Second, true)},
			calamity{"fault: disk hangs", 1, true, o.traces("fdatasync", "delay_enter=30000000:when=3+", 15*time.Second, true)},
		)
	}
	if o.power != nil {
		all = append(all, calamity{unpowered, 4, false, func(n *e2e.Node) (bool, error) { return o.power.lose(n) }})
	}
	all = slices.Concat(all, o.networkCalamities(), o.clockCalamities())
	return slices.DeleteFunc(all, func(c calamity) bool { return !o.campaign.only.MatchString(c.name) })
}

// A disaster is for an operator to mend. It strikes a cluster that is well, and reports whether it bit.
type disaster struct {
	name   string
	strike func() (bit bool, err error)
}

func (o *ordeal) disasters() []disaster {
	all := []disaster{
		{replaced, func() (bool, error) { o.loseDisk(); return true, nil }}, {"fault: rolling restart", o.roll},
		{"fault: bit of the log flipped", func() (bool, error) { return o.damage(o.flip) }},
		{"fault: log torn", func() (bool, error) { return o.damage(o.tear) }},
	}
	return slices.DeleteFunc(all, func(d disaster) bool { return !o.campaign.only.MatchString(d.name) })
}

// kinds are the names of all that can strike.
func (c *campaign) kinds() (names []string) {
	o := &ordeal{campaign: c, on: c.here}
	if c.here.powered {
		o.power = new(power)
		names = append(names, unpoweredAll)
	}
	if c.here.networked {
		o.network = new(lan.LAN)
	}
	for _, c := range o.calamities() {
		names = append(names, c.name)
	}
	for _, d := range o.disasters() {
		names = append(names, d.name)
	}
	return append(names, killedAll)
}

// round is a storm, and what may follow it.
func (o *ordeal) round() error {
	if err := o.storm(); err != nil {
		return err
	}
	due := o.campaign.agenda.next(func(name string) bool { return name == killedAll || name == unpoweredAll && o.power != nil })
	if due != "" || o.rng.IntN(2) == 0 {
		if err := o.blackout(due); err != nil {
			return err
		}
	}
	o.recover()
	all := o.disasters()
	var chosen *disaster
	due = o.campaign.agenda.next(func(name string) bool {
		return slices.ContainsFunc(all, func(d disaster) bool { return d.name == name })
	})
	for i := range all {
		if all[i].name == due {
			chosen = &all[i]
		}
	}
	if chosen == nil && len(all) > 0 && o.rng.IntN(4) == 0 {
		chosen = &all[o.rng.IntN(len(all))]
	}
	if chosen == nil {
		return nil
	}
	began := time.Now()
	bit, err := chosen.strike()
	if err != nil {
		return err
	}
	o.fault(chosen.name, "a cluster that is well", began, bit)
	o.recover()
	return nil
}

// A storm strikes so many nodes at once, at most, each so often in a row.
const (
	mostStruck = 3
	mostInARow = 5
)

// storm has calamities strike one node, two or three of them at once, the leader as often as not:
// on each one after the other, and for as long as a slow one lasts elsewhere.
func (o *ordeal) storm() error {
	first := o.rng.IntN(len(o.Nodes))
	if o.rng.IntN(2) == 0 {
		first = slices.Index(o.Nodes, o.Leader())
	}
	struck := min(1+o.rng.IntN(mostStruck), 1+o.rng.IntN(mostStruck)) // seldom all
	chains := make([][]calamity, struck)
	slow := false
	for i := range chains {
		for range 2 + o.rng.IntN(mostInARow-1) {
			c := o.choose(o.rng, !slow)
			slow = slow || c.slow
			chains[i] = append(chains[i], c)
		}
	}
	if slow && struck == 1 {
		chains = append(chains, nil)
	}
	ends := make(chan error, len(chains))
	for i, chain := range chains {
		n, rng := o.Nodes[(first+i)%len(o.Nodes)], rand.New(rand.NewPCG(o.rng.Uint64(), 8))
		for _, c := range chain {
			if c.slow {
				o.slow.Add(1)
			}
		}
		go func() {
			err := errors.New("it came to no end") // what fails the test ends the goroutine
			defer func() {
				if err != nil {
					o.slow.Store(0) // nobody waits for it
				}
				ends <- err
			}()
			err = o.suffer(n, chain, rng)
		}()
	}
	var all []error
	for range chains {
		all = append(all, <-ends)
	}
	return errors.Join(all...)
}

// choose chooses a calamity: of a kind that is due, or any. A slow one only if it may be.
func (o *ordeal) choose(rng *rand.Rand, slow bool) calamity {
	all := slices.DeleteFunc(o.calamities(), func(c calamity) bool { return c.slow && !slow })
	due := o.campaign.agenda.next(func(name string) bool {
		return slices.ContainsFunc(all, func(c calamity) bool { return c.name == name })
	})
	var lots []calamity
	for _, c := range all {
		if c.name == due {
			return c
		}
		for range c.often {
			lots = append(lots, c)
		}
	}
	return lots[rng.IntN(len(lots))]
}

// suffer has calamities strike a node, one after the other, and quick ones while a slow one lasts.
func (o *ordeal) suffer(n *e2e.Node, chain []calamity, rng *rand.Rand) error {
	for i := 0; i < len(chain) || o.slow.Load() > 0; i++ {
		var c calamity
		if i < len(chain) {
			c = chain[i]
		} else {
			c = o.choose(rng, false)
		}
		if err := o.up(n); err != nil {
			return fmt.Errorf("before %s: %w", c.name, err)
		}
		began := time.Now()
		bit, err := c.strike(n)
		if c.slow {
			o.slow.Add(-1)
		}
		if err != nil {
			return fmt.Errorf("%s at %s: %w", c.name, n.ID, err)
		}
		o.fault(c.name, n.ID, began, bit)
	}
	return nil
}

// up has a node run, and waits until it answers and takes part in elections: what strikes one that does
// not yet may hit nothing. It need not be ready, which others may keep it from.
func (o *ordeal) up(n *e2e.Node) error {
	one := o.Client(n)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if err := o.revive(n); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(o.t.Context(), time.Second)
		health, err := one.Health(ctx)
		cancel()
		if err == nil && health.Role != "nonvoter" {
			return nil
		}
	}
	return fmt.Errorf("%s is not up again", n.ID)
}

// fault counts a fault that came, and tells of it.
func (o *ordeal) fault(name, where string, began time.Time, bit bool) {
	o.w.Fault(name, bit)
	o.campaign.agenda.came(name, bit)
	o.t.Logf("%s at %s, %v until %s: %t", strings.TrimPrefix(name, "fault: "), where,
		time.Since(began).Round(time.Millisecond), time.Now().Format(time.TimeOnly), bit)
}

// roll restarts one node after the other, as for a new version.
func (o *ordeal) roll() (bit bool, err error) {
	for _, n := range o.Nodes {
		if bit, err := o.restarted(n); err != nil || !bit {
			return false, fmt.Errorf("restarting %s: %w", n.ID, err)
		}
		o.Ready()
	}
	return true, nil
}

// killed kills a node that answered a moment ago. It bit if that, and nothing else, ended it.
func (o *ordeal) killed(n *e2e.Node) (bool, error) {
	p := o.Process(n)
	o.Kill(n)
	<-time.After(rand.N(300 * time.Millisecond))
	return p.Code() == -1, nil
}

func (o *ordeal) restarted(n *e2e.Node) (bool, error) {
	if err := o.Stop(n); err != nil {
		return false, fmt.Errorf("%s stopped with %w", n.ID, err)
	}
	o.Start(n)
	return true, nil
}

// stopped stops a process, mostly for longer than a lease.
func (o *ordeal) stopped(n *e2e.Node) (bit bool, err error) {
	o.Signal(n, syscall.SIGSTOP)
	<-time.After(200*time.Millisecond + rand.N(time.Second))
	bit = state(o.Process(n)) == 'T'
	o.Signal(n, syscall.SIGCONT)
	return bit, nil
}

// starved has a process run for a tenth of the time.
func (o *ordeal) starved(n *e2e.Node) (bit bool, err error) {
	bit = true
	for range 9 {
		o.Signal(n, syscall.SIGSTOP)
		<-time.After(90 * time.Millisecond)
		bit = bit && state(o.Process(n)) == 'T'
		o.Signal(n, syscall.SIGCONT)
		<-time.After(10 * time.Millisecond)
	}
	return bit, nil
}

// deposed has leadership handed over, to the node or, if it leads, to another. That may fail while
// others suffer.
func (o *ordeal) deposed(n *e2e.Node) (bool, error) {
	ctx, cancel := context.WithTimeout(o.t.Context(), 3*time.Second)
	defer cancel()
	to := n.ID
	before, err := o.Client().Cluster(ctx)
	if err == nil && before.Leader == to {
		to = o.Nodes[(slices.Index(o.Nodes, n)+1)%len(o.Nodes)].ID
	}
	after, err := o.Client().TransferLeadership(ctx, client.TransferRequest{To: to})
	return err == nil && after.Leader == to, nil
}

// state is the state of a process as the system tells it, of its first thread: R, S, D, T or Z; 0 where it cannot be seen.
func state(p *e2e.Process) byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	_, rest, ok := strings.Cut(string(stat), ") ")
	if err != nil || !ok {
		return 0
	}
	return rest[0]
}
