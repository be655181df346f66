package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/e2e"
)

// slowRequest begins a write at a node and does not send all of it.
func slowRequest(t *testing.T, n *e2e.Node) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", n.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /version/bump HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{", n.HTTP)
	return conn
}

// TestSignals checks what the first signal does to a node with a request under way, and
// that the second ends it at once.
func TestSignals(t *testing.T) {
	c := hotCluster(t)
	leader := c.Leader()
	slow := slowRequest(t, leader)
	c.Wait("the slow request has not arrived", 10*time.Second, func() bool {
		resp, err := c.HTTP().Get(leader.URL + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	c.Signal(leader, syscall.SIGTERM)
	c.Wait("the node does not say that it is not ready", 10*time.Second, func() bool {
		resp, err := c.HTTP().Get(leader.URL + "/readyz")
		if err != nil {
			t.Fatalf("the node is gone before it said that it is not ready: %v", err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "shutting down")
	})
	began := time.Now()
	c.Signal(leader, syscall.SIGTERM)
	err := c.Exited(leader)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("after the second signal the node ended with %v, want exit code 1", err)
	}
	t.Logf("the second signal ended the node after %v", time.Since(began))
	slow.Close()
	c.Start(leader)
	c.Ready()
	bumps(t, c, c.Nodes...)
}

// TestLogLevelAtRunTime makes the leader's log tell of what it did not before, the request of
// another node among it.
func TestLogLevelAtRunTime(t *testing.T) {
	c := hotCluster(t)
	leader := c.Leader()
	follower := c.Nodes[0]
	if follower == leader {
		follower = c.Nodes[1]
	}
	bump := func(id string) {
		t.Helper()
		req, err := http.NewRequest("POST", follower.URL+"/version/bump", strings.NewReader(`{"scope":"patch","entityId":"`+hot+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Request-Id", id)
		resp, err := c.HTTP().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Tes-Request-Id") != id {
			t.Errorf("request %s: %s, %v", id, resp.Status, resp.Header)
		}
	}
	logged := func(n *e2e.Node, text string) {
		t.Helper()
		c.Wait(n.ID+" does not log "+text, 10*time.Second, func() bool { return strings.Contains(c.Log(n), text) })
	}
	bump("one")
	logged(follower, `"requestId":"one"`)
	c.Signal(leader, syscall.SIGUSR1)
	logged(leader, `"@message":"log_level_changed"`)
	bump("two")
	logged(leader, `"requestIds":["two"]`)
	c.Signal(leader, syscall.SIGUSR2)
	logged(leader, `"level":"info"`)
	bump("three")
	logged(follower, `"requestId":"three"`)
	if strings.Contains(c.Log(leader), "three") || strings.Contains(c.Log(leader), `["one"]`) {
		t.Error("the leader's log tells of requests that it should not tell of")
	}
}
