package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/memnet"
)

// failingNode is the environment of the process that TestFailingNode is, with its failingLife.
const failingNode = "TESD_TEST_FAILING"

// failingLife is what a node does from its start until it is stopped.
type failingLife struct {
	Dir    string // of the node
	Leader string // directory of another node that takes it in, and gives it a snapshot; may be empty
	Backup string // file that it is restored from unless Dir is there; may be empty
	Bumps  int    // it has a snapshot taken after each second one
	Index  uint64 // that its state hash is asked for at

	net *memnet.Network
}

// running is a node in this process.
type running struct {
	*cluster.Node
	stop  func()
	ended chan error
}

// TestFailingNode is a process of TestEveryOperationFails. It says what it has, bumps, and what was acknowledged; it
// ends with the exit code that tesd has for why.
func TestFailingNode(t *testing.T) {
	raw := os.Getenv(failingNode)
	if raw == "" {
		t.Skip("it is a process of TestEveryOperationFails")
	}
	l := failingLife{net: memnet.New()}
	err := json.Unmarshal([]byte(raw), &l)
	if err == nil {
		err = l.live(t)
	}
	if err == nil {
		return
	}
	fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
	switch {
	case errors.Is(err, cluster.ErrDiskFailed):
		os.Exit(diskFailed)
	case errors.Is(err, errRefused):
		os.Exit(diskRefused)
	}
	os.Exit(1)
}

func (l *failingLife) live(t *testing.T) error {
	id := "n1"
	if l.Leader != "" {
		leader, err := l.start(t, id, l.Leader)
		if err != nil {
			return err
		}
		defer leader.stop()
		id = "n2"
		go l.takeIn(t.Context(), leader, id)
	}
	if err := l.restore(); err != nil {
		return err
	}
	n, err := l.start(t, id, l.Dir)
	if err != nil {
		return err
	}
	if err := n.await(t, func() bool {
		for _, check := range n.Ready() {
			if !check.OK {
				return false
			}
		}
		return true
	}); err != nil {
		return err
	}
	var bumps int
	if _, err := fmt.Sscanf(versionIn(t, n.View(), "api:a"), "1.0.%d", &bumps); err != nil {
		return err
	}
	hash, known := n.StateHashAt(l.Index)
	fmt.Printf("has %d %x %x %t\n", bumps, n.View().StateHash(), hash, known)
	for end := bumps + l.Bumps; bumps < end; {
		bumps++
		if err := n.bump(t, bumps); err != nil {
			return err
		}
		v := n.View()
		fmt.Printf("acknowledged %d %d %x\n", bumps, v.Index(), v.StateHash())
		if bumps%2 == 0 {
			if err := n.Snapshot(); err != nil {
				fmt.Println("no snapshot:", err)
			}
		}
	}
	n.stop()
	err = <-n.ended
	if err == nil {
		fmt.Println("done")
	}
	return err
}

// start starts a node on a directory.
func (l *failingLife) start(t *testing.T, id, dir string) (*running, error) {
	storage, err := cluster.OpenDir(dir, nil)
	if err != nil {
		return nil, err
	}
	node, err := cluster.Open(cluster.Config{
		NodeID: id, RaftAddress: id + ":9000", RegistryID: clustertest.Registry, Storage: storage, Seed: clustertest.Seed,
		Peers: []cluster.Peer{{ID: "n1", Address: "n1:9000"}}, Network: from{l.net, id}, TrailingLogs: 1,
		Timing: cluster.Timing{Heartbeat: 30 * time.Millisecond, LeaderLease: 25 * time.Millisecond},
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(t.Context())
	n := &running{node, stop, make(chan error, 1)}
	go func() { n.ended <- node.Run(ctx) }()
	return n, nil
}

// restore makes the directory out of the backup. One that is there was made by a restore that did not get to say so.
func (l *failingLife) restore() error {
	if l.Backup == "" {
		return nil
	} else if _, err := os.Stat(l.Dir); err == nil {
		return nil
	}
	backup, err := os.Open(l.Backup)
	if err != nil {
		return err
	}
	defer backup.Close()
	v, err := cluster.RestoreDir(l.Dir, "n1", []cluster.Peer{{ID: "n1", Address: "n1:9000"}}, backup, nil)
	if err == nil {
		fmt.Printf("restored %d %x\n", v.Index(), v.StateHash())
	}
	return err
}

// takeIn has a node be a member, for as long as it takes.
func (l *failingLife) takeIn(ctx context.Context, leader *running, id string) {
	for ctx.Err() == nil && leader.AddNode(ctx, id, id+":9000", false) != nil {
		pause(ctx, 5*time.Millisecond)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

const (
	longest = 20 * time.Second // how long a node may take for anything before it counts as stuck
	refuses = 5 * time.Second  // and how long it says that its disk refuses, before that is what came of it
)

// errRefused is that the node runs on a disk that refuses what it must write, and says so.
var errRefused = errors.New("not ready")

// await waits until something is so. It returns early when the node ends, with the reason.
func (n *running) await(t *testing.T, ok func() bool) error {
	well, limit := time.Now(), time.After(longest)
	for !ok() {
		reason := ""
		for _, check := range n.Ready() {
			if check.Name == "storage" {
				reason = check.Detail
			}
		}
		if reason == "" {
			well = time.Now()
		} else if time.Since(well) > refuses {
			return fmt.Errorf("%w: %s", errRefused, reason)
		}
		select {
		case err := <-n.ended:
			return err
		case <-limit:
			return fmt.Errorf("the node neither goes on nor ends: %v", n.Ready())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// bump bumps until that is acknowledged, and the node itself, which may follow another, has it; or until it has ended.
func (n *running) bump(t *testing.T, nth int) error {
	err := n.await(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		result, err := n.Propose(ctx, keyed("api:a", fmt.Sprint("bump ", nth)))
		return err == nil && result.Refusal == nil
	})
	if err != nil {
		return err
	}
	return n.await(t, func() bool { return versionIn(t, n.View(), "api:a") == fmt.Sprintf("1.0.%d", nth) })
}

// from is the network as one node has it.
type from struct {
	*memnet.Network
	host string
}

// Dial reaches other nodes.
func (f from) Dial(ctx context.Context, address string) (net.Conn, error) {
	return f.Network.Dial(ctx, f.host, address)
}
