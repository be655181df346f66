package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
)

// waitVoter waits until a node votes.
func waitVoter(t *testing.T, c *e2e.Cluster, n *e2e.Node) {
	t.Helper()
	c.Wait(n.ID+" is no voter", 30*time.Second, func() bool {
		status, err := c.Client().Cluster(t.Context())
		if err != nil {
			return false
		}
		for _, s := range status.Nodes {
			if s.ID == n.ID {
				return s.Voter
			}
		}
		return false
	})
}

// waiting returns the command that a node's readiness tells to run, as arguments.
func waiting(t *testing.T, c *e2e.Cluster, n *e2e.Node) []string {
	t.Helper()
	var args []string
	c.Wait(n.ID+" does not tell how to make it a member", 30*time.Second, func() bool {
		report, _ := c.Client(n).Ready(t.Context())
		_, command, found := strings.Cut(report, "run: tesd ")
		command, _, _ = strings.Cut(command, "\n")
		args = strings.Fields(command)
		return found
	})
	return args
}

// bumps raises the entity at each of the nodes.
func bumps(t *testing.T, c *e2e.Cluster, nodes ...*e2e.Node) {
	t.Helper()
	for _, n := range nodes {
		if _, err := c.Client(n).Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: hot}); err != nil {
			t.Errorf("a bump at %s: %v", n.ID, err)
		}
	}
}

// TestMembership takes a cluster through what a team does to it over the years: a fourth
// node joins, a disk is lost, a node is taken out.
func TestMembership(t *testing.T) {
	c := hotCluster(t)
	n4 := c.Add("n4")
	c.Start(n4)
	run(t, c, waiting(t, c, n4)...)
	waitVoter(t, c, n4)
	bumps(t, c, c.Nodes...)

	n2 := c.Nodes[1]
	if _, code := c.Run("node", "add", n2.ID+"="+n2.Raft, "--replace"); code != 4 {
		t.Errorf("to replace a member that is as it was exited with %d, want 4", code)
	}
	c.Kill(n2)
	if err := os.RemoveAll(n2.DataDir); err != nil {
		t.Fatal(err)
	}
	c.Start(n2)
	command := waiting(t, c, n2)
	if command[len(command)-1] != "--replace" {
		t.Errorf("the node that lost its disk says to run %q", command)
	}
	run(t, c, command...)
	waitVoter(t, c, n2)
	c.Ready()
	bumps(t, c, c.Nodes...)
	c.Status()

	run(t, c, "node", "remove", "n4")
	read, err := c.HTTP().Get(n4.URL + "/version/registry")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(read.Body)
	read.Body.Close()
	if read.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "removed") {
		t.Errorf("a read of the removed node gave %s, want a refusal that says so: %s", read.Status, body)
	}
	if err := c.Stop(n4); err != nil {
		t.Errorf("the removed node stopped with %v", err)
	}
	c.Nodes = c.Nodes[:3]
	bumps(t, c, c.Nodes...)
	c.Status()
	if e, err := c.Client().Entity(t.Context(), hot); err != nil || e.Entity.CurrentVersion != fmt.Sprintf("1.0.%d", 4+4+3) {
		t.Errorf("after 11 bumps there is %+v, %v", e, err)
	}
}
