package chaos_test

import "testing"

// environment is what a cluster of processes runs on.
type environment struct {
	nodes     int
	networked bool // each on a machine of its own, on a network that fails; else all on loopback
	powered   bool // on disks that lose power; else on the disk as it is
}

// environment has the seed of a cluster choose, so that any three in a row meet all that there is here.
func (c *campaign) environment(seed uint64) environment {
	e := environment{
		nodes:     *nodes,
		networked: c.networked && (seed%3 == 1 || seed%6 == 5),
		powered:   c.powered && seed%3 == 2,
	}
	if e.nodes == 0 {
		e.nodes = [...]int{3, 3, 4, 5, 3, 3, 3, 5}[seed%8]
	}
	return e
}

// TestEnvironments has seeds choose: three in a row meet each, and six meet all at once.
func TestEnvironments(t *testing.T) {
	c := &campaign{networked: true, powered: true}
	type kind struct{ networked, powered bool }
	meets := func(first, seeds uint64) map[kind]bool {
		met := make(map[kind]bool)
		for seed := first; seed < first+seeds; seed++ {
			e := c.environment(seed)
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
		e := c.environment(seed)
		sizes[e.nodes]++
	}
	if *nodes == 0 && (sizes[3] != 15 || sizes[4] != 3 || sizes[5] != 6) {
		t.Errorf("of 24 clusters so many have so many nodes: %v", sizes)
	}
	if e := new(campaign).environment(5); e.networked || e.powered {
		t.Errorf("where there is nothing, a cluster has %+v", e)
	}
}
