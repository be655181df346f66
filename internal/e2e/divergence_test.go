package e2e_test

import (
	enc "encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/e2e"
)

// alterLog changes what the last bump in the log of a node that does not run says, as no disk
// that fails by itself would: its checksum is right.
func alterLog(t *testing.T, dir string) {
	t.Helper()
	storage, err := cluster.OpenDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Close()
	last, err := storage.Log.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for i := last; i > 0; i-- {
		var l raft.Log
		if err := storage.Log.GetLog(i, &l); err != nil {
			t.Fatal(err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		entry, err := fsm.DecodeEntry(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		bump, ok := entry.Commands[0].Op.(fsm.Bump)
		if !ok {
			continue
		}
		bump.Scope = fsm.Major
		entry.Commands[0].Op = bump
		if l.Data, err = fsm.EncodeEntry(entry); err == nil {
			seal(&l)
			err = storage.Log.StoreLog(&l)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("there is no bump in the log")
}

// seal gives an entry the checksum that it has on disk, CRC-32C, in front of its extensions.
func seal(l *raft.Log) {
	head := enc.LittleEndian.AppendUint64(nil, l.Index)
	head = enc.LittleEndian.AppendUint64(head, l.Term)
	head = enc.LittleEndian.AppendUint64(head, uint64(len(l.Data)))
	head = append(head, byte(l.Type))
	sum := crc32.Checksum(append(head, l.Data...), crc32.MakeTable(crc32.Castagnoli))
	l.Extensions = enc.LittleEndian.AppendUint32([]byte{1}, sum)
}

// wantDiverged waits until a node ends because its state is not that of the others.
func wantDiverged(t *testing.T, c *e2e.Cluster, n *e2e.Node) {
	t.Helper()
	exit, ok := errors.AsType[*exec.ExitError](c.Exited(n))
	if !ok || exit.ExitCode() != 10 {
		t.Fatalf("%s ended with %v, want exit code 10", n.ID, exit)
	}
	lines := strings.Split(strings.TrimSpace(c.Log(n)), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "tesd: ") || !strings.Contains(last, "the state of this node differs from that of the others") {
		t.Errorf("the last line of %s is %s", n.ID, last)
	}
}

// TestDivergence starts a node on a log that was altered: it must find out, stop, stay away, and
// come back with an empty directory.
func TestDivergence(t *testing.T) {
	c := hotCluster(t)
	bumps(t, c, c.Nodes...)
	wrong := c.Nodes[0]
	if wrong == c.Leader() {
		wrong = c.Nodes[1]
	}
	c.Status()
	if err := c.Stop(wrong); err != nil {
		t.Fatal(err)
	}
	alterLog(t, wrong.DataDir)
	c.Start(wrong)
	wantDiverged(t, c, wrong)
	c.Start(wrong)
	wantDiverged(t, c, wrong)
	var others []*e2e.Node
	for _, n := range c.Nodes {
		if n != wrong {
			others = append(others, n)
		}
	}
	bumps(t, c, others...)
	if err := os.Rename(wrong.DataDir, wrong.DataDir+".diverged"); err != nil {
		t.Fatal(err)
	}
	c.Start(wrong)
	if _, code := c.Run(waiting(t, c, wrong)...); code != 0 {
		t.Fatalf("taking it in again exited with %d", code)
	}
	waitVoter(t, c, wrong)
	bumps(t, c, c.Nodes...)
	c.Status()
}
