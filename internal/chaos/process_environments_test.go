package chaos_test

import (
	"testing"

	"github.com/tesd/tesd/internal/e2e"
)

// environment is what clusters of processes can run on here, or what one of them does.
type environment struct {
	nodes     int  // 0 for what its seed chooses
	traced    bool // system calls can be made to fail
	clocked   bool // clocks can be made wrong
	networked bool // each on a machine of its own, on a network that fails; else all on loopback
	powered   bool // on disks that lose power; else on the disk as it is
}

// here returns what there is here, and says what is not.
func here(t *testing.T) environment {
	t.Helper()
	e := environment{nodes: *nodes, traced: e2e.CanTrace(), clocked: canClock(), networked: canNetwork(t), powered: canLosePower(t)}
	if !e.traced {
		t.Log("there is no strace here, or it may not trace: disks do not fail in this run")
	}
	return e
}

// of has the seed of a cluster choose, so that any three in a row meet all that there is.
func (e environment) of(seed uint64) environment {
	e.networked = e.networked && (seed%3 == 1 || seed%6 == 5)
	e.powered = e.powered && seed%3 == 2
	if e.nodes == 0 {
		e.nodes = [...]int{3, 3, 4, 5, 3, 3, 3, 5}[seed%8]
	}
	return e
}

// TestEnvironments has seeds choose: three in a row meet each, and six meet all at once.
func TestEnvironments(t *testing.T) {
	everything := environment{networked: true, powered: true}
	type kind struct{ networked, powered bool }
	meets := func(first, seeds uint64) map[kind]bool {
		met := make(map[kind]bool)
		for seed := first; seed < first+seeds; seed++ {
			e := everything.of(seed)
			met[kind{e.networked, e.powered}] = true
		}
		return met
	}
	for first := range uint64(24) {
		if met := meets(first, 3); !met[kind{}] || !met[kind{networked: true}] || !met[kind{powered: true}] && !met[kind{true, true}] {
			t.Errorf("three seeds from %d on meet %v alone", first, met)
		}
		if met := meets(first, 6); len(met) != 4 {
			t.Errorf("six seeds from %d on meet %v alone", first, met)
		}
	}
	sizes := make(map[int]int)
	for seed := range uint64(24) {
		sizes[everything.of(seed).nodes]++
	}
	if sizes[3] != 15 || sizes[4] != 3 || sizes[5] != 6 {
		t.Errorf("of 24 clusters so many have so many nodes: %v", sizes)
	}
	if e := (environment{}).of(5); e.networked || e.powered {
		t.Errorf("where there is nothing, a cluster has %+v", e)
	}
}
