package chaos

import (
	"context"
	"time"

	"github.com/tesd/tesd/internal/clustertest"
)

// crash ends a node as a kill does, which breaks its connections, and starts it again.
func (in *injector) crash(n *clustertest.Node) bool {
	release, ok := in.busy.claim(n)
	if !ok {
		return false
	}
	defer release()
	if !n.Running() {
		return false
	}
	broken := in.v.crash(n)
	in.some(4)
	in.v.start(n)
	return broken > 0
}

func (in *injector) crashAll() bool {
	var all []*clustertest.Node
	for _, n := range in.v.Nodes {
		if n.Running() {
			all = append(all, n)
		}
	}
	release, ok := in.busy.claim(all...)
	if !ok {
		return false
	}
	defer release()
	broken := in.v.crash(all...)
	in.some(2)
	for _, n := range all {
		in.v.start(n)
	}
	return broken > 0
}

func (in *injector) restart() bool {
	n := in.any()
	release, ok := in.busy.claim(n)
	if !ok || !n.Running() {
		return false
	}
	defer release()
	in.v.stop(n)
	before := n.Current()
	in.some(1)
	in.v.start(n)
	return n.Current() != before
}

// pause keeps a node from hearing, saying and writing anything, as SIGSTOP does; only its
// timers go on. What it missed comes in any order afterwards.
func (in *injector) pause() bool {
	n := in.pick()
	resume, hangs := in.hang(n)
	in.v.Net.Isolate(n.ID)
	in.some(8)
	held := in.v.held(in.v.linksOf(n))
	if in.rng.IntN(2) == 0 {
		resume()
		in.some(0.1)
		in.v.Net.Rejoin(n.ID)
	} else {
		in.v.Net.Rejoin(n.ID)
		in.some(0.1)
		resume()
	}
	return held > 0 && hangs
}

// hang has the writes of a node to its log hang, and waits for one that does: from then on its
// raft looks at no lease, no message and no clock. Before, it would notice that it hears from
// nobody.
func (in *injector) hang(n *clustertest.Node) (resume func(), hangs bool) {
	_, before := n.Disk.Suffered()
	resume = n.Disk.Stall()
	return resume, in.until(2*in.v.unit, func() bool {
		_, now := n.Disk.Suffered()
		return now > before
	})
}

// depose hangs a leader with answers to it on their way, lets the others go on without it, and
// lets it find the past before the present.
func (in *injector) depose() bool {
	n := in.leader()
	if n == nil {
		return false
	}
	var to, from [][2]string
	for _, l := range in.v.linksOf(n) {
		if l[0] == n.ID {
			from = append(from, l)
		} else {
			to = append(to, l)
		}
	}
	each := func(links [][2]string, do func(from, to string)) {
		for _, l := range links {
			do(l[0], l[1])
		}
	}
	term := n.Status().Term
	resume, hangs := in.hang(n)
	each(to, in.v.Net.Cut)
	<-time.After(2 * in.v.unit)
	in.some(3)
	if in.rng.IntN(2) == 0 {
		each(from, in.v.Net.Cut)
	}
	last := func() { each(to, in.v.Net.Heal) }
	if in.rng.IntN(2) == 0 {
		resume, last = last, resume
	}
	resume()
	in.some(0.02)
	last()
	in.some(0.3)
	each(from, in.v.Net.Heal)
	return hangs && in.until(4*in.v.unit, func() bool {
		l := in.leader()
		return l != nil && l.Status().Term > term
	})
}

func (in *injector) transfer() bool {
	before, to := in.leader(), in.follower()
	if before == nil || to == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*in.v.unit)
	defer cancel()
	by := in.any()
	return by.Running() && by.Current().TransferLeadership(ctx, to.ID) == nil && in.leader() != before
}

// diskError has the writes of a node to its log fail for a while. A node that stops for it is
// started again, as its supervisor would.
func (in *injector) diskError() bool {
	n := in.any()
	release, ok := in.busy.claim(n)
	if !ok {
		return false
	}
	defer release()
	before, _ := n.Disk.Suffered()
	mend := n.Disk.Fail()
	in.some(3)
	mend()
	after, _ := n.Disk.Suffered()
	in.revive(n)
	return after > before
}

// diskStall has the writes of a node to its log hang for a while.
func (in *injector) diskStall() bool {
	n := in.any()
	release, ok := in.busy.claim(n)
	if !ok {
		return false
	}
	defer release()
	_, before := n.Disk.Suffered()
	resume := n.Disk.Stall()
	in.some(8)
	resume()
	_, after := n.Disk.Suffered()
	in.revive(n)
	return after > before
}

// supervise starts the nodes that stopped by themselves.
func (in *injector) supervise() {
	for _, n := range in.v.Nodes {
		if n.Running() {
			in.revive(n)
		}
	}
}

// revive starts a node that stopped by itself.
func (in *injector) revive(n *clustertest.Node) {
	if err, ended := in.v.Ended(n, 0); ended {
		in.w.Count("nodes that stopped by themselves", 1)
		in.v.mu.Lock()
		in.v.ended[n] = err
		in.v.mu.Unlock()
		in.v.crash(n)
		in.start(n)
	}
}

// start starts a node that should have no reason to refuse it.
func (in *injector) start(n *clustertest.Node) {
	if err := in.v.tryStart(n); err != nil {
		in.w.Fail("%s does not start: %w", n.ID, err)
	}
}

// clockJump has the clock of the leader jump, and come back.
func (in *injector) clockJump() bool {
	n := in.leader()
	if n == nil {
		return false
	}
	c := in.v.clock(n.ID)
	before := c.asked.Load()
	by := upTo(in.rng, 365*24*time.Hour) >> in.rng.IntN(20)
	if in.rng.IntN(2) == 0 {
		by = -by
	}
	c.ahead.Store(int64(by))
	in.some(4)
	c.ahead.Store(0)
	return c.asked.Load() > before
}
