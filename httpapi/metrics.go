package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
	"github.com/tesd/tesd/client"
)

// The outcomes of a bump that was handed to the cluster, besides those of errors.
const (
	bumpSuccess  = "success"
	bumpReplayed = "replayed" // the answer of an earlier request with the same key
)

// metrics is what GET /metrics tells.
type metrics struct {
	registry     *prometheus.Registry
	requests     *prometheus.CounterVec // by operation and status
	bumps        *prometheus.CounterVec // by outcome
	bumpDuration prometheus.Histogram

	successes map[string]prometheus.Counter // of requests, by operation: what is counted most, found at once
}

// newMetrics returns the metrics of a server, with what they read off its node.
func newMetrics(s *Server, version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tesd_http_requests_total", Help: "HTTP requests that were answered, by operation and status.",
		}, []string{"operation", "code"}),
		bumps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tesd_bumps_total", Help: "Bumps and batches that this node handed to the cluster, by what became of them.",
		}, []string{"outcome"}),
		bumpDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tesd_bump_duration_seconds", Help: "Time that bumps and batches took, whatever became of them.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, outcome := range []string{
		bumpSuccess, bumpReplayed, string(client.OutcomeRejected), string(client.OutcomeNotApplied), string(client.OutcomeUnknown),
	} {
		m.bumps.WithLabelValues(outcome) // so that it is 0 from the start, and a rate can be taken of the first
	}
	m.successes = make(map[string]prometheus.Counter)
	for _, r := range routes() {
		m.successes[r.operation] = m.requests.WithLabelValues(r.operation, strconv.Itoa(http.StatusOK))
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tesd_build_info", Help: "1, with what this binary was built from and with.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.bumps, m.bumpDuration, build, readings(s),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// answered counts a request that was answered.
func (m *metrics) answered(operation string, status int) {
	if counter := m.successes[operation]; counter != nil && status == http.StatusOK {
		counter.Inc()
		return
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Inc()
}

// bumped counts a bump that was handed to the cluster.
func (m *metrics) bumped(outcome string, duration time.Duration) {
	m.bumps.WithLabelValues(outcome).Inc()
	m.bumpDuration.Observe(duration.Seconds())
}

// Metrics returns where else metrics may be registered that GET /metrics is to tell.
func (s *Server) Metrics() prometheus.Registerer { return s.metrics.registry }

// metricsText answers what is measured, in the text format of Prometheus.
func (s *Server) metricsText(c *call) (*answer, error) {
	if err := c.noQuery(); err != nil {
		return nil, err
	}
	families, err := s.metrics.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var text bytes.Buffer
	enc := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := enc.Encode(family); err != nil {
			return nil, fmt.Errorf("encoding metrics: %w", err)
		}
	}
	return &answer{status: http.StatusOK, contentType: string(format), body: text.Bytes()}, nil
}
