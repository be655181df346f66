package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// moment is what the server and its node know at one moment.
type moment struct {
	status               cluster.Status
	connections          int
	view                 fsm.View
	registries, entities int
	ready                bool
}

func (s *Server) moment() moment {
	m := moment{status: s.node.Status(), connections: s.connections.count(), view: s.node.View(), ready: len(failing(s.checks())) == 0}
	for r := range m.view.Registries() {
		m.registries++
		m.entities += r.Len()
	}
	return m
}

// reading is a metric that is read off the node when somebody asks for it.
type reading struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*moment) float64
}

// collector takes readings, so that nothing has to be kept up to date. All that they
// need is there at once.
type collector struct {
	s        *Server
	readings []reading
}

// readings returns what is read off the server's node.
func readings(s *Server) collector {
	c := collector{s: s}
	add := func(kind prometheus.ValueType, name, help string, value func(*moment) float64) {
		c.readings = append(c.readings, reading{prometheus.NewDesc("tesd_"+name, help, nil, nil), kind, value})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "leader", "1 if this node leads, else 0.", func(m *moment) float64 { return flag(m.status.Role == cluster.Leader) })
	add(gauge, "leader_known", "1 if this node knows of a leader, else 0.", func(m *moment) float64 { return flag(m.status.Leader != "") })
	add(gauge, "ready", "1 if this node is ready to serve, else 0.", func(m *moment) float64 { return flag(m.ready) })
	add(gauge, "term", "The term that this node is in.", func(m *moment) float64 { return float64(m.status.Term) })
	add(gauge, "commit_index", "The index up to which this node knows the log to be committed.",
		func(m *moment) float64 { return float64(m.status.CommitIndex) })
	add(gauge, "applied_index", "The index of the last entry in the state that this node serves.",
		func(m *moment) float64 { return float64(m.status.AppliedIndex) })
	add(counter, "snapshot_failures_total", "Snapshots that this node could not write since its start; each is tried again.",
		func(m *moment) float64 { return float64(m.status.SnapshotsFailed) })
	add(gauge, "registries", "Registries in the state.", func(m *moment) float64 { return float64(m.registries) })
	add(gauge, "entities", "Entities in the state, of all registries.", func(m *moment) float64 { return float64(m.entities) })
	add(gauge, "watch_connections", "WebSockets and event streams that are open.", func(m *moment) float64 { return float64(m.connections) })
	add(gauge, "idempotency_keys", "Idempotency keys that are remembered.", func(m *moment) float64 { return float64(m.view.Keys()) })
	add(counter, "malformed_commands_total", "Commands of the log that could not be read; each was refused, on every node.",
		func(m *moment) float64 { return float64(m.view.Malformed()) })
	add(counter, "state_checks_total", "Comparisons of this node's state with that of the voters at one index, if at least one of them answered.",
		func(m *moment) float64 { return float64(m.status.Compared.Checks) })
	add(counter, "state_mismatches_total", "Voters that had another state than this node at the same index, each counted in each comparison.",
		func(m *moment) float64 { return float64(m.status.Compared.Mismatches) })
	add(gauge, "state_checked_index", "The last index at which more than half of the voters were found to have the state of this node.",
		func(m *moment) float64 { return float64(m.status.Compared.Index) })
	return c
}

// Describe sends what the readings are.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, r := range c.readings {
		ch <- r.desc
	}
}

// Collect takes all readings at one moment.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	m := c.s.moment()
	for _, r := range c.readings {
		ch <- prometheus.MustNewConstMetric(r.desc, r.kind, r.value(&m))
	}
}

// flag is how a metric says whether something holds.
func flag(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
