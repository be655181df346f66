package main

import (
	"context"
	"slices"
)

// spread is over how many entities or keys a load is spread, unless it is said otherwise.
const spread = 1000

// scenarios are all loads. peer is nil if there is none to compare with.
func scenarios(ours, peer *system) []scenario {
	all := slices.Concat(bumpScenarios(ours), readScenarios(ours), sizeScenarios(ours))
	if peer == nil {
		return all
	}
	for i := range all {
		switch all[i].name {
		case "bump-64":
			all[i].contestants = append(all[i].contestants, on("etcd", peer, swaps(spread)))
		case "bump-hot":
			all[i].contestants = append(all[i].contestants, on("etcd", peer, swaps(1)))
		case "read":
			all[i].contestants = append(all[i].contestants, on("etcd", peer, ranges(spread)))
		}
	}
	return all
}

// bumpScenarios are those of bumps.
func bumpScenarios(ours *system) []scenario {
	bare, tuned, collecting := bareRaft(asItComes), bareRaft(forSingles), bareRaft(forSharing)
	return []scenario{
		{
			name: "bump-64", about: "bumps of 1,000 entities by 64 clients", clients: 64, options: nodeOptions{entities: spread},
			contestants: []rival{
				on("tesd, all nodes", ours, bumps(spread, false)), on("tesd, leader", ours, bumps(spread, true)),
				on("bare raft", bare, applies), on("bare raft, tuned", tuned, applies), on("bare raft, collecting", collecting, collects),
			},
			targets: []target{
				{throughput, "tesd, all nodes", "bare raft", true, 1.15}, {throughput, "tesd, leader", "bare raft", true, 1.5},
				{throughput, "tesd, all nodes", "etcd", true, 3.5},
			},
		},
		{
			name: "bump-hot", about: "bumps of one entity by 64 clients", clients: 64, options: nodeOptions{entities: spread},
			contestants: []rival{on("tesd, one entity", ours, bumps(1, false)), on("tesd, spread", ours, bumps(spread, false))},
			targets: []target{
				{throughput, "tesd, one entity", "tesd, spread", true, 0.9}, {throughput, "tesd, one entity", "etcd", true, 100},
			},
		},
		{
			name: "bump-256", about: "bumps of 1,000 entities by 256 clients", clients: 256, options: nodeOptions{entities: spread},
			contestants: []rival{
				on("tesd, all nodes", ours, bumps(spread, false)), on("tesd, leader", ours, bumps(spread, true)),
				on("bare raft", bare, applies), on("bare raft, tuned", tuned, applies), on("bare raft, collecting", collecting, collects),
			},
			targets: []target{
				{throughput, "tesd, all nodes", "bare raft", true, 1.6}, {throughput, "tesd, leader", "bare raft", true, 1.9},
			},
		},
		{
			name: "bump-1", about: "bumps by one client, one after the other", clients: 1, options: nodeOptions{entities: spread},
			contestants: []rival{on("tesd, leader", ours, bumps(spread, true)), on("tesd, all nodes", ours, bumps(spread, false)), on("bare raft", bare, applies)},
			targets:     []target{{typical, "tesd, leader", "bare raft", false, 1.15}, {typical, "tesd, all nodes", "bare raft", false, 1.15}},
		},
		{
			name: "bump-keys", about: "bumps of 1,000 entities by 64 clients, over all nodes, each with an idempotency key", clients: 64, options: nodeOptions{entities: spread},
			contestants: []rival{on("with keys", ours, keyed), on("without", ours, bumps(spread, false))},
		},
		openScenario(ours),
	}
}

// openScenario has bumps come at rates of some 25, 50 and 75 % of what 64 clients who wait for their answers reach. Entries wait
// for callers who come again (docs/decisions/0008); these do not.
func openScenario(ours *system) scenario {
	const most = 256
	s := scenario{
		name: "bump-open", about: "bumps of 1,000 entities that come independently of each other, over all nodes; at most 256 are under way",
		clients: most, options: nodeOptions{entities: spread},
	}
	for _, rate := range []float64{2000, 4000, 6000} {
		at := ", " + thousands(rate) + "/s"
		s.contestants = append(s.contestants, on("tesd"+at, ours, bumps(spread, false)).at(rate), on("bare raft"+at, bareRaft(asItComes), applies).at(rate))
	}
	return s
}

// readScenarios are those of reads.
func readScenarios(ours *system) []scenario {
	entity := make([]byte, 400) // an entity takes about as much
	return []scenario{
		{
			name: "read", about: "linearizable reads of an entity by 64 clients, over all nodes", clients: 64, options: nodeOptions{entities: spread},
			contestants: []rival{on("tesd", ours, gets("")), on("constant", constant(entity, 1, false), gets("")),
				on("constant, tuned", constant(entity, 1, true), gets(""))},
			targets: []target{{throughput, "tesd", "constant", true, 0.5}, {throughput, "tesd", "etcd", true, 3}},
		},
		{
			name: "read-stale", about: "stale reads of an entity by 64 clients, over all nodes", clients: 64, options: nodeOptions{entities: spread},
			contestants: []rival{on("tesd", ours, gets("?consistency=stale")), on("constant", constant(entity, 1, false), gets("")),
				on("constant, tuned, 3 processes", constant(entity, 3, true), gets(""))},
			targets: []target{{throughput, "tesd", "constant", true, 0.8}},
		},
		registryScenario(ours),
	}
}

// sizeScenarios are those of bumps in large registries, and of large bumps.
func sizeScenarios(ours *system) []scenario {
	return []scenario{
		{
			name: "bump-large", about: "bumps by one client in a registry of 100,000 entities", clients: 1, options: nodeOptions{entities: 99_999},
			contestants: []rival{on("100,000 entities", ours, bumps(99_999, true)), on("41 entities", small(ours), bumps(40, true))},
			targets:     []target{{typical, "100,000 entities", "41 entities", false, 1.2}},
		},
		{
			name: "bump-wide", about: "one bump that moves 10,000 entities, and bumps of others by 8 clients beside one each second",
			clients: 8, options: nodeOptions{entities: spread, linked: 9_999},
			contestants: []rival{
				on("others beside it", ours, beside(bumps(spread, true), wide)).by(9),
				on("others", ours, bumps(spread, true)),
				on("one of 10,000", ours, wide).by(1),
			},
			targets: []target{{rare, "others beside it", "others", false, 2}, {typical, "one of 10,000", "", false, 50}},
		},
	}
}

// registryScenario reads a whole registry, and has a server answer the very same bytes.
func registryScenario(ours *system) scenario {
	var body []byte
	read := func(query string) func(c *cluster) (operation, error) {
		return func(c *cluster) (operation, error) {
			return func(w *worker) (int, error) {
				_, err := w.expect(w.next(), "GET", "/version/registry"+query, nil)
				return 0, err
			}, nil
		}
	}
	// The first round begins with it, so that the constants have something to answer.
	first := func(c *cluster) (operation, error) {
		conn, err := dialHTTP(c.nodes[0].url)
		if err != nil {
			return nil, err
		}
		defer conn.close()
		_, answer, err := conn.do("GET", "/version/registry", nil)
		if err != nil {
			return nil, err
		}
		body = append(body[:0], answer...)
		return read("")(c)
	}
	same := func(tuned bool) *system {
		return &system{"constant", "net/http", func(ctx context.Context, dir string, o nodeOptions) (*cluster, error) {
			return constant(body, 1, tuned).start(ctx, dir, o)
		}}
	}
	return scenario{
		name: "read-registry", about: "reads of a registry of 41 entities by 64 clients, over all nodes", clients: 64, options: nodeOptions{entities: 40},
		contestants: []rival{on("tesd", ours, first), on("tesd, stale", ours, read("?consistency=stale")),
			on("constant", same(false), gets("")), on("constant, tuned", same(true), gets(""))},
		targets: []target{{throughput, "tesd", "constant", true, 0.8}, {throughput, "tesd, stale", "constant", true, 0.8}},
	}
}

// small is a system with 41 entities, whatever the scenario has.
func small(s *system) *system {
	return &system{s.name, s.version, func(ctx context.Context, dir string, o nodeOptions) (*cluster, error) {
		o.entities = 40
		return s.start(ctx, dir, o)
	}}
}
