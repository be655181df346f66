package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTimerSlack checks that all threads of a node may be woken late, the runtime's own among them.
func TestTimerSlack(t *testing.T) {
	if own, err := os.ReadFile("/proc/self/timerslack_ns"); err != nil || strings.TrimSpace(string(own)) != "50000" {
		t.Skipf("the slack of this process is %q, and a node keeps what it is given: %v", own, err)
	}
	c := hotCluster(t)
	pid := c.Process(c.Nodes[0]).PID()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("process %d has the threads %q: %v", pid, threads, err)
	}
	for _, thread := range threads {
		slack, err := os.ReadFile(filepath.Join("/proc", filepath.Base(thread), "timerslack_ns"))
		if errors.Is(err, fs.ErrPermission) {
			t.Skip("it takes CAP_SYS_NICE to see the slack of another process")
		} else if errors.Is(err, fs.ErrNotExist) {
			continue // a thread that has ended
		}
		if got := strings.TrimSpace(string(slack)); err != nil || got != "200000" {
			t.Errorf("%s has a slack of %q ns, want 200000: %v", thread, got, err)
		}
	}
}
