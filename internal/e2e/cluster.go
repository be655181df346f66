// Package e2e runs clusters of real tesd processes on loopback, or on machines of their own
// on a LAN that can be made bad, for tests of what users rely on: it builds the command once,
// starts nodes on free ports with data in temporary directories, kills and restarts them, and
// ends with the test. Their clocks can be made wrong. What the nodes logged is shown when a
// test fails. Each of their answers is held against the OpenAPI document that they serve.
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/apicheck"
	"github.com/tesd/tesd/internal/lan"
	"github.com/tesd/tesd/internal/loopback"
)

// Build builds the command into dir, with further flags of go build, and returns its path. It is for
// TestMain.
func Build(dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "tesd")
	args := slices.Concat([]string{"build", "-buildvcs=false", "-o", binary}, flags, []string{"github.com/tesd/tesd/cmd/tesd"})
	build := exec.Command("go", args...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the command: %w\n%s", err, out)
	}
	return binary, nil
}

// Cluster is some founding nodes and those added later, each a process when it runs.
type Cluster struct {
	Nodes []*Node

	t        *testing.T
	dir      string
	binary   string
	options  Options
	founders []string // as in --peers
	http     *http.Client
}

// Options say what a cluster is like. The zero value is what most tests want.
type Options struct {
	Nodes int      // founding nodes; 0 for three
	Args  []string // added to each node's serve command

	// LAN, if it is not nil, has each node run on a machine of its own, in order; the last machine
	// is that of users. The test itself reaches every node at any time. It outlives the cluster.
	LAN *lan.LAN

	// Clocks gives each node a [Clock], for a command of [BuildClocks].
	Clocks bool
}

// Node is one of them.
type Node struct {
	ID      string
	URL     string // of its HTTP API
	HTTP    string // host:port of it
	Raft    string // host:port of the raft port
	DataDir string
	Clock   *Clock       // what it takes for the time of day; nil if that is right
	Machine *lan.Machine // that it runs on; nil on loopback

	log     *os.File
	process *Process        // nil while it does not run
	ports   *loopback.Ports // nil on a machine of its own
}

// New starts a cluster of three nodes. args are added to each node's serve command.
func New(t *testing.T, binary string, args ...string) *Cluster {
	t.Helper()
	return Options{Args: args}.New(t, binary)
}

// New starts a cluster.
func (o Options) New(t *testing.T, binary string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir(), binary: binary, options: o}
	t.Cleanup(c.end)
	for i := range cmp.Or(o.Nodes, 3) {
		n := c.Add(fmt.Sprintf("n%d", i+1))
		c.founders = append(c.founders, n.ID+"="+n.Raft)
	}
	for _, n := range c.Nodes {
		c.Start(n)
	}
	c.describe()
	c.Ready()
	return c
}

// describe has what passes between the test and the nodes held against the nodes' own
// description of it.
func (c *Cluster) describe() {
	c.t.Helper()
	var document *apicheck.Document
	transport := &http.Transport{DialContext: c.Dial, MaxIdleConnsPerHost: 64}
	c.t.Cleanup(transport.CloseIdleConnections)
	plain := &http.Client{Transport: transport}
	c.Wait("the API is not described", 30*time.Second, func() bool {
		resp, err := plain.Get(c.Nodes[0].URL + "/openapi.json")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			return false
		}
		if document, err = apicheck.Parse(raw); err != nil {
			c.t.Fatal(err)
		}
		return true
	})
	c.http = &http.Client{Transport: &apicheck.Transport{
		Base: transport, Document: document, Report: func(err error) { c.t.Error(err) },
	}}
}

// HTTP returns a client for requests that the Go client does not send.
func (c *Cluster) HTTP() *http.Client { return c.http }

// Peers returns the founding nodes as --peers takes them.
func (c *Cluster) Peers() string { return strings.Join(c.founders, ",") }

// Add makes a node that can be started, and is no founder. It is no member until it is
// made one.
func (c *Cluster) Add(id string) *Node {
	c.t.Helper()
	log, err := os.Create(filepath.Join(c.dir, id+".log"))
	if err != nil {
		c.t.Fatal(err)
	}
	n := &Node{ID: id, DataDir: filepath.Join(c.dir, id), log: log}
	c.place(n)
	n.URL = "http://" + n.HTTP
	if c.options.Clocks {
		if n.Clock, err = newClock(filepath.Join(c.dir, id+".clock")); err != nil {
			c.t.Fatal(err)
		}
	}
	c.Nodes = append(c.Nodes, n)
	return n
}

// Start starts a node's process on the data that it has.
func (c *Cluster) Start(n *Node) {
	c.t.Helper()
	args := append([]string{"serve", "--node-id", n.ID, "--data-dir", n.DataDir, "--http", n.HTTP, "--raft", n.Raft,
		"--peers", c.Peers()}, c.options.Args...)
	if n.Machine != nil {
		args = append(args, "--insecure") // nobody else is on that network
	}
	var process *Process
	err := n.within(func() (err error) {
		process, err = startProcess(n.Clock.environment(), c.binary, n.log, args...)
		return err
	})
	if err != nil {
		c.t.Fatalf("%s: %v", n.ID, err)
	}
	n.process = process
}

// Kill ends processes with SIGKILL, all of them before it waits for the first. The test has failed if one of
// them had ended by itself, unless it was its disk that [Process.MayFail].
func (c *Cluster) Kill(nodes ...*Node) {
	c.t.Helper()
	if err := kill(nodes...); err != nil {
		c.t.Error(err)
	}
}

func kill(nodes ...*Node) error {
	for _, n := range nodes {
		_ = n.process.Signal(os.Kill) // an error is that it has ended
	}
	var all []error
	for _, n := range nodes {
		all = append(all, n.Unexpected())
		n.process = nil
	}
	return errors.Join(all...)
}

// Unexpected returns the error of [Process.Unexpected], of its process, with what the node logged last.
func (n *Node) Unexpected() error {
	err := n.process.Unexpected()
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w; it logged, at the end:\n%s", n.ID, err, n.tail(4<<10))
}

// tail returns what a node logged last, so many bytes of it at most, from the beginning of a line on.
func (n *Node) tail(most int) []byte {
	log, _ := os.ReadFile(n.log.Name())
	if len(log) > most {
		log = log[len(log)-most:]
		log = log[bytes.IndexByte(log, '\n')+1:]
	}
	return bytes.TrimSpace(log)
}

// Signal sends a running process a signal.
func (c *Cluster) Signal(n *Node, s os.Signal) {
	c.t.Helper()
	if err := n.process.Signal(s); err != nil {
		c.t.Fatalf("sending %v to %s: %v", s, n.ID, err)
	}
}

// Process returns a node's process, or nil if it does not run.
func (c *Cluster) Process(n *Node) *Process { return n.process }

// Log returns what a node has logged so far.
func (c *Cluster) Log(n *Node) string {
	c.t.Helper()
	log, err := os.ReadFile(n.log.Name())
	if err != nil {
		c.t.Fatal(err)
	}
	return string(log)
}

// Stop ends a process with SIGTERM and returns how it exited.
func (c *Cluster) Stop(n *Node) error {
	c.Signal(n, syscall.SIGTERM)
	return c.Exited(n)
}

// Exited waits for a process that was told to end, and returns how it did.
func (c *Cluster) Exited(n *Node) error {
	process := n.process
	n.process = nil
	select {
	case <-process.Exited():
		return process.Err()
	case <-time.After(20 * time.Second):
		return errors.New("the node did not stop in 20 s")
	}
}

// end kills what still runs, and shows the logs of a failed test.
func (c *Cluster) end() {
	for _, n := range c.Nodes {
		if n.process != nil {
			c.Kill(n)
		}
		if n.ports != nil {
			n.ports.Release()
		}
		n.log.Close()
		n.Clock.close()
		if c.t.Failed() {
			c.t.Logf("%s logged, at the end:\n%s", n.ID, n.tail(8<<10))
		}
	}
}

// Wait waits until the condition holds, for limit at most.
func (c *Cluster) Wait(what string, limit time.Duration, holds func() bool) {
	c.t.Helper()
	end := time.After(limit)
	for !holds() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-end:
			c.t.Fatalf("after %v: %s", limit, what)
		}
	}
}

// Ready waits until all running nodes are ready.
func (c *Cluster) Ready() {
	c.t.Helper()
	for _, n := range c.Nodes {
		if n.process == nil {
			continue
		}
		one := c.Client(n)
		c.Wait(n.ID+" is not ready", 30*time.Second, func() bool {
			_, err := one.Ready(c.t.Context())
			return err == nil
		})
	}
}

// Client returns a client of the given nodes; of all of them if none is given.
func (c *Cluster) Client(nodes ...*Node) *client.Client {
	c.t.Helper()
	if len(nodes) == 0 {
		nodes = c.Nodes
	}
	var endpoints []string
	for _, n := range nodes {
		endpoints = append(endpoints, n.URL)
	}
	cl, err := client.New(endpoints, client.WithTimeout(30*time.Second), client.WithHTTPClient(c.http))
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// Leader returns the node that leads, waiting for one.
func (c *Cluster) Leader() *Node {
	c.t.Helper()
	var leader *Node
	c.Wait("there is no leader", 30*time.Second, func() bool {
		for _, n := range c.Nodes {
			if n.process == nil {
				continue
			}
			health, err := c.Client(n).Health(context.Background())
			if err == nil && health.Role == "leader" {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// Status returns the state of the cluster once all its nodes are members and have applied the same
// index, and fails the test if their state hashes differ there.
func (c *Cluster) Status() *client.ClusterStatus {
	c.t.Helper()
	var status *client.ClusterStatus
	c.Wait("the nodes do not reach one applied index", 30*time.Second, func() bool {
		var err error
		if status, err = c.Client().Cluster(c.t.Context()); err != nil || len(status.Nodes) != len(c.Nodes) {
			return false
		}
		for _, n := range status.Nodes {
			if n.AppliedIndex == nil || *n.AppliedIndex != *status.Nodes[0].AppliedIndex {
				return false
			}
		}
		return true
	})
	for _, n := range status.Nodes {
		if *n.StateHash != *status.Nodes[0].StateHash {
			c.t.Fatalf("state hashes differ at applied index %d: %s has %s, %s has %s",
				*n.AppliedIndex, n.ID, *n.StateHash, status.Nodes[0].ID, *status.Nodes[0].StateHash)
		}
	}
	return status
}

// Run runs the command as a user would, with the cluster's endpoints, and returns what
// it wrote to standard output and its exit code. Standard error goes to the test's log.
func (c *Cluster) Run(args ...string) (stdout string, code int) {
	c.t.Helper()
	var endpoints []string
	for _, n := range c.Nodes {
		endpoints = append(endpoints, n.URL)
	}
	cmd := exec.Command(c.binary, args...)
	cmd.Env = append(os.Environ(), "TESD_ENDPOINTS="+strings.Join(endpoints, ","))
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	err := c.run(cmd)
	if diagnostics.Len() > 0 {
		c.t.Logf("tesd %s: %s", strings.Join(args, " "), bytes.TrimSpace(diagnostics.Bytes()))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), exit.ExitCode()
	} else if err != nil {
		c.t.Fatalf("running tesd %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), 0
}
