package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/powerloss"
)

// everyOperation is set by the command line.
var everyOperation = flag.Int("fail.every", 64, "have every so manieth write, sync and rename fail") // immutable: set by the command line

const (
	diskFailed   = 9           // the exit code of tesd for cluster.ErrDiskFailed
	diskRefused  = 20          // of the process, when its node runs, and is not ready for its disk
	longestLife  = time.Minute // of a process
	sideBySide   = 6           // disks: their nodes mostly wait
	failingBumps = 4           // in the life in which operations fail
)

// failingPhase is a life of a node in which operations fail, and what was before it.
type failingPhase struct {
	name   string
	before string // directory of the node, as it was left; "" for none
	leader string // see failingLife
	backup string
	harm   func(dir string) error // done to the directory; may be nil
	told   told                   // of before or of the backup
}

// told is what users of a node were told so far.
type told struct {
	bumps int
	index uint64 // at which the state has this hash
	hash  string
}

// fault is what fails.
type fault struct {
	kind    powerloss.Kind
	errno   syscall.Errno
	lasting bool
}

func (f fault) String() string {
	s := fmt.Sprintf("%v: %v", f.kind, f.errno)
	if f.lasting {
		s += " from then on"
	}
	return s
}

// faults are all that the walk has fail.
func faults() []fault {
	return []fault{
		{powerloss.Write, syscall.EIO, false}, {powerloss.Write, syscall.ENOSPC, true},
		{powerloss.Sync, syscall.EIO, false}, {powerloss.Sync, syscall.EIO, true},
		{powerloss.Rename, syscall.EIO, false}, {powerloss.Rename, syscall.EIO, true},
	}
}

// TestEveryOperationFails has the nth write, sync and rename fail, for every n, while a node founds a cluster, bumps
// and takes snapshots, while it is started again, passes over a damaged snapshot, is restored from a backup, and is given
// a snapshot by a leader. It goes on as if nothing had happened, or ends for its disk and names the file. Then the
// disk is well: the node is there again with all that was acknowledged, and takes writes, and once more after
// a loss of power.
func TestEveryOperationFails(t *testing.T) {
	_, unmount := mustMount(t, t.TempDir())
	unmount()
	type tally struct{ tried, failed, ended int }
	tallies := make(map[string]*tally)
	var mu sync.Mutex
	var group sync.WaitGroup
	running := make(chan struct{}, sideBySide)
	turn := 0
	for _, p := range failingPhases(t) {
		calm := newFailingDisk(t, p)
		if calm == nil {
			return
		}
		if code, said := calm.live(failingBumps); code != 0 {
			t.Fatalf("undisturbed: exit code %d and %q", code, said)
		}
		for _, f := range faults() {
			key := fmt.Sprintf("%s, %v", p.name, f)
			all := &tally{}
			tallies[key] = all
			for n := 1; n <= calm.counts[f.kind]; n++ {
				if turn++; turn%*everyOperation > 0 && (f.kind != powerloss.Rename || f.lasting) { // of which there are few
					continue
				}
				running <- struct{}{}
				group.Go(func() {
					defer func() { <-running }()
					failed, ended := failAt(t, p, f, n)
					mu.Lock()
					defer mu.Unlock()
					all.tried++
					if failed {
						all.failed++
					}
					if ended {
						all.ended++
					}
				})
			}
		}
		calm.close()
	}
	group.Wait()
	var sum tally
	for key, n := range tallies {
		t.Logf("%s: %d operations, %d failed, %d ended the node", key, n.tried, n.failed, n.ended)
		sum.tried, sum.failed, sum.ended = sum.tried+n.tried, sum.failed+n.failed, sum.ended+n.ended
	}
	if sum.failed < sum.tried*9/10 || sum.ended == 0 || sum.ended == sum.failed {
		t.Errorf("of %d operations %d failed and %d ended the node", sum.tried, sum.failed, sum.ended)
	}
}

// failAt has one operation fail, and reports whether that came to pass, and ended the node.
func failAt(t *testing.T, p failingPhase, f fault, n int) (failed, ended bool) {
	d := newFailingDisk(t, p)
	if d == nil {
		return false, false
	}
	defer d.close()
	what := fmt.Sprintf("%s: %d, %v", p.name, n, f)
	d.disk.Fail(f.kind, n, f.errno, f.lasting)
	code, said := d.live(failingBumps)
	path := d.disk.Failed()
	what += ", of " + path
	d.disk.Fail(f.kind, 0, 0, false)
	switch last := lastLine(said); {
	case code == 0:
	case (code == diskFailed || code == diskRefused && f.lasting) && path != "" && strings.Contains(last, d.root) && strings.Contains(last, f.errno.Error()):
		ended = true
	default:
		t.Errorf("%s: the node ended with exit code %d and %q", what, code, said)
		return path != "", true
	}
	d.healed(what, rand.New(rand.NewPCG(uint64(n), uint64(f.kind))))
	return path != "", ended
}

// healed has the node come back on a disk that is well, and again after a loss of power, which one time in
// three strikes as it comes back.
func (d *failingDisk) healed(what string, rng *rand.Rand) {
	cut := rng.IntN(3) == 0
	if cut {
		code, said := d.told.run(d.t, d.life(2), func(cmd *exec.Cmd, out *bytes.Buffer) error {
			return d.disk.Live(cmd, rng.IntN(10), func(line string) { fmt.Fprintln(out, line) })
		})
		if code > 0 {
			d.t.Errorf("%s: the node does not come back: exit code %d and %q", what, code, said)
		}
	} else if !d.comesBack(what) {
		return
	}
	keep := rng
	if rng.IntN(2) == 0 {
		keep = nil
	}
	if _, err := d.disk.Lose(keep); err != nil {
		d.t.Error(err)
		return
	}
	d.comesBack(fmt.Sprintf("%s, and power was lost (as it came back: %t)", what, cut))
}

// failingDisk is a disk with the directory of a node.
type failingDisk struct {
	t      *testing.T
	p      failingPhase
	disk   *powerloss.Disk
	root   string
	leader string // directory of the other node; "" for none
	told   told
	counts map[powerloss.Kind]int // operations of the last life
}

// newFailingDisk makes what was before a phase. It returns nil if it cannot, and has said so.
func newFailingDisk(t *testing.T, p failingPhase) *failingDisk {
	d := &failingDisk{t: t, p: p, root: t.TempDir(), told: p.told, counts: make(map[powerloss.Kind]int)}
	var err error
	if d.disk, err = powerloss.New(d.root); err != nil {
		t.Error(err)
		return nil
	}
	if p.before != "" {
		err = copySynced(filepath.Join(d.root, "data"), p.before)
	}
	if err == nil && p.harm != nil {
		err = p.harm(filepath.Join(d.root, "data"))
	}
	if err == nil && p.leader != "" {
		d.leader = filepath.Join(t.TempDir(), "leader")
		err = copySynced(d.leader, p.leader)
	}
	if err != nil {
		t.Error(err)
		d.close()
		return nil
	}
	return d
}

func (d *failingDisk) close() {
	if err := d.disk.Close(); err != nil {
		d.t.Error(err)
	}
}

// life is one of the node on the disk.
func (d *failingDisk) life(bumps int) failingLife {
	return failingLife{
		Dir: filepath.Join(d.root, "data"), Leader: d.leader, Backup: d.p.backup, Bumps: bumps, Index: d.told.index,
	}
}

// live runs the node once.
func (d *failingDisk) live(bumps int) (code int, said string) {
	before := make(map[powerloss.Kind]int)
	for _, f := range faults() {
		before[f.kind] = d.disk.Count(f.kind)
	}
	code, said = d.told.live(d.t, d.life(bumps))
	for kind, n := range before {
		d.counts[kind] = d.disk.Count(kind) - n
	}
	return code, said
}

// comesBack runs the node on a disk that is well.
func (d *failingDisk) comesBack(what string) bool {
	code, said := d.live(2)
	if code != 0 {
		d.t.Errorf("%s: the node does not come back: exit code %d and %q", what, code, said)
	}
	return code == 0
}

// live runs a node in a process.
func (u *told) live(t *testing.T, l failingLife) (code int, said string) {
	return u.run(t, l, func(cmd *exec.Cmd, out *bytes.Buffer) error {
		cmd.Stdout, cmd.Stderr = out, out
		return cmd.Run()
	})
}

// run has a process of a node run, and holds what it says against what users were told.
func (u *told) run(t *testing.T, l failingLife, run func(cmd *exec.Cmd, out *bytes.Buffer) error) (code int, said string) {
	raw, err := json.Marshal(l)
	if err != nil {
		t.Error(err)
		return -1, ""
	}
	ctx, cancel := context.WithTimeout(t.Context(), longestLife)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFailingNode$")
	cmd.Env = append(os.Environ(), failingNode+"="+string(raw))
	var out bytes.Buffer
	if err := run(cmd, &out); err != nil {
		if _, ended := errors.AsType[*exec.ExitError](err); !ended {
			t.Error(err)
		}
	}
	for line := range strings.Lines(out.String()) {
		if fault := u.hear(line); fault != "" {
			t.Errorf("%s: %q", fault, out.String())
		}
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// hear takes in a line of a node, and returns what is wrong with it.
func (u *told) hear(line string) (fault string) {
	var bumps int
	var now, then string
	var known bool
	if _, err := fmt.Sscanf(line, "has %d %s %s %t", &bumps, &now, &then, &known); err == nil {
		switch {
		case bumps < u.bumps:
			return fmt.Sprintf("%d bumps were acknowledged, and %d are there", u.bumps, bumps)
		case known && u.hash != "" && then != u.hash:
			return fmt.Sprintf("the state hash at index %d was %s", u.index, u.hash)
		case !known && u.hash != "" && bumps == u.bumps && now != u.hash:
			return fmt.Sprintf("the state hash was %s", u.hash)
		}
		u.bumps = bumps
	}
	_, _ = fmt.Sscanf(line, "restored %d %s", &u.index, &u.hash)
	_, _ = fmt.Sscanf(line, "acknowledged %d %d %s", &u.bumps, &u.index, &u.hash)
	return ""
}

func lastLine(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return lines[len(lines)-1]
}
