package main

import (
	"fmt"
	"time"

	"github.com/armon/go-metrics"
	sink "github.com/armon/go-metrics/prometheus"
	"github.com/prometheus/client_golang/prometheus"
)

// tellRaftMetrics adds what the consensus library measures to a node's metrics. That
// library knows only one place for them in a process, so this is for a process that is
// one node.
func tellRaftMetrics(to prometheus.Registerer) error {
	s, err := sink.NewPrometheusSinkFrom(sink.PrometheusOpts{Registerer: to})
	if err != nil {
		return fmt.Errorf("registering the metrics of raft: %w", err)
	}
	// Several for every entry of the log, which the node's own metrics and the rest of the library's make up
	// for: together they took one fortieth of a loaded node's processor time.
	quiet := []string{"raft.boltdb", "raft.fsm.apply", "raft.fsm.enqueue", "raft.net", "raft.rpc", "raft.thread"}
	_, err = metrics.NewGlobal(&metrics.Config{TimerGranularity: time.Second, FilterDefault: true, BlockedPrefixes: quiet}, s)
	if err != nil {
		return fmt.Errorf("collecting the metrics of raft: %w", err)
	}
	return nil
}
