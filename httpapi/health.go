package httpapi

import (
	"slices"
	"strings"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
)

// threadID is how the system that tesd serves names its thread of versions.
const threadID = "0x6001"

// The lifecycles of a registry, as this node sees it.
const (
	lifecycleError      = "ERROR"      // this node takes no writes, or its state is wrong and it stops
	lifecycleBlocked    = "BLOCKED"    // there is no quorum
	lifecycleCreated    = "CREATED"    // it has no entities
	lifecycleTerminated = "TERMINATED" // it has been without transactions for long
	lifecycleRunning    = "RUNNING"
)

// lifecycle returns the first lifecycle that holds.
func (s *Server) lifecycle(r fsm.Registry) string {
	switch {
	case !s.node.TakesWrites():
		return lifecycleError
	case s.node.Leader() == "":
		return lifecycleBlocked
	case r.Len() == 0:
		return lifecycleCreated
	case s.now().Sub(time.UnixMilli(r.LastTimestamp())) >= s.alarmTimeout:
		return lifecycleTerminated
	}
	return lifecycleRunning
}

// health answers how this node does, from its own state. A registry that it does not
// know is unknown only once the cluster has been founded.
func (s *Server) health(c *call) (*answer, error) {
	if err := c.noQuery(); err != nil {
		return nil, err
	}
	view, status := s.node.View(), s.node.Status()
	resp := client.Health{
		Status: "ok", ThreadID: threadID, RegistryID: c.registry, Node: s.nodeID, Role: string(status.Role),
		ClusterID: status.ClusterID, HSL: hslSuccess,
	}
	r, ok := view.Registry(c.registry)
	switch {
	case ok:
		resp.Revision, resp.Lifecycle = r.Revision(), s.lifecycle(r)
	case view.Founded() && c.registry != s.defaultRegistry:
		return nil, unknownRegistry(c.registry)
	case status.StorageFull, status.Diverged:
		resp.Lifecycle = lifecycleError
	case status.Leader == "":
		resp.Lifecycle = lifecycleBlocked
	default:
		resp.Lifecycle = lifecycleCreated
	}
	return jsonAnswer(resp)
}

// livez answers that the process is alive: it does, so it is.
func (s *Server) livez(c *call) (*answer, error) {
	if err := c.noQuery(); err != nil {
		return nil, err
	}
	return &answer{body: []byte(`{"status":"ok"}`)}, nil
}

// readyz answers whether this node is ready to serve; with verbose, by a line of text
// for each check.
func (s *Server) readyz(c *call) (*answer, error) {
	var f intake.Faults
	q := newQuery(c.r.URL.RawQuery, &f)
	verbose := q.flag("verbose")
	q.finish()
	if err := faulty(&f); err != nil {
		return nil, err
	}
	checks := s.checks()
	a := &answer{body: []byte(`{"status":"ok"}`)}
	if why := failing(checks); len(why) > 0 {
		a = c.refuse(&failure{code: client.CodeNotReady, message: "the node is not ready: " + strings.Join(why, "; ")})
	}
	if verbose {
		a.contentType, a.body = "text/plain; charset=utf-8", []byte(lines(checks))
	}
	return a, nil
}

// checks returns the checks of readiness, the server's own among them.
func (s *Server) checks() []cluster.Check {
	checks := s.node.Ready()
	if s.draining.Load() {
		checks = append(slices.Clone(checks), cluster.Check{Name: "shutdown", Detail: cluster.ErrShuttingDown.Error()})
	}
	return checks
}

// failing says which checks fail, and why.
func failing(checks []cluster.Check) []string {
	var failing []string
	for _, check := range checks {
		if !check.OK {
			failing = append(failing, check.Name+": "+check.Detail)
		}
	}
	return failing
}

// lines says how each check went, a line each.
func lines(checks []cluster.Check) string {
	var lines strings.Builder
	for _, check := range checks {
		if check.OK {
			lines.WriteString("[+]" + check.Name + " ok\n")
		} else {
			lines.WriteString("[-]" + check.Name + ": " + strings.ReplaceAll(check.Detail, "\n", "; ") + "\n")
		}
	}
	return lines.String()
}

// noQuery refuses parameters where there are none.
func (c *call) noQuery() error {
	var f intake.Faults
	newQuery(c.r.URL.RawQuery, &f).finish()
	return faulty(&f)
}
