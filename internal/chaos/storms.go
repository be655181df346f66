package chaos

import (
	"math/rand/v2"
	"sync"
	"time"
)

// ineffective begins the names of faults that had no effect.
const ineffective = "no effect, "

// recoveryTakes bounds how long writes may fail after the last fault of a storm.
const recoveryTakes = time.Minute

// A storm is so many chains of faults at once, at most, and in each so many after each other.
const (
	mostAtOnce = 3
	mostInARow = 4
)

// storms has faults of the named classes strike, so many storms of them. After each some writes
// must be acknowledged. It returns how long that took at worst.
func (in *injector) storms(c *crowd, storms int, names []string) (slowest time.Duration) {
	for i := range storms {
		var group sync.WaitGroup
		for k, chain := range in.storm(names) {
			f := &injector{v: in.v, w: in.w, rng: rand.New(rand.NewPCG(in.rng.Uint64(), uint64(i*10+k))), busy: in.busy}
			group.Go(func() { f.strike(chain) })
		}
		group.Wait()
		in.v.Net.HealAll()
		began, before := time.Now(), c.acked.Load()
		if !in.until(recoveryTakes, func() bool { in.supervise(); return c.acked.Load() > before+2 }) {
			in.w.Fail("storm %d: no write is acknowledged within %v after it", i, recoveryTakes)
			return recoveryTakes
		}
		slowest = max(slowest, time.Since(began))
	}
	return slowest
}

// strike has faults strike one after the other.
func (in *injector) strike(chain []string) {
	for _, name := range chain {
		in.some(0.5)
		in.w.Fault(name, in.classes()[name]())
	}
}

// storm chooses the faults of a storm, in chains. With one that needs a cluster that is well come
// only such as take no node away.
func (in *injector) storm(names []string) (all [][]string) {
	one := func() string { return names[in.rng.IntN(len(names))] }
	first := one()
	admitted := func(name string) bool { return !delicate(name) }
	if delicate(first) {
		all, admitted = append(all, []string{first}), mild
	}
	for range 1 + in.rng.IntN(mostAtOnce) {
		var chain []string
		for range 1 + in.rng.IntN(mostInARow) {
			if name := one(); admitted(name) {
				chain = append(chain, name)
			}
		}
		all = append(all, chain)
	}
	return all
}

// delicate faults are changes of the cluster that an operator makes when it is well.
func delicate(name string) bool {
	return name == FaultLostDisk || name == FaultMember || name == FaultSnapshot
}

// mild faults take no node away.
func mild(name string) bool {
	switch name {
	case FaultDelay, FaultReorder, FaultStall, FaultNodeReset, FaultClock, FaultTransfer:
		return true
	}
	return false
}

// StormFaults returns the names of all faults of a run with bumps, those more than once that are
// to come more often.
func StormFaults() (names []string) {
	for range 3 {
		names = append(names, FrequentFaults()...)
	}
	return append(names, FaultBehind, FaultSnapshot, FaultLostDisk, FaultMember, FaultMember)
}

// FrequentFaults are those of them that take little time.
func FrequentFaults() []string {
	return []string{
		FaultLeaderCrash, FaultFollowerCrash, FaultAllCrash, FaultRestart, FaultIsolated, FaultOneWay, FaultPartial, FaultSplit,
		FaultDelay, FaultReorder, FaultStall, FaultNodeReset, FaultPause, FaultDeposed, FaultTransfer, FaultDiskError,
		FaultDiskStall, FaultClock,
	}
}
