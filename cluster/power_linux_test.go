package cluster_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/memnet"
	"github.com/tesd/tesd/internal/powerloss"
)

// everySync is set by the command line.
var everySync = flag.Int("power.every", 16, "lose power at every so manieth sync") // immutable: set by the command line

// powered names the directory of the node that TestPoweredNode runs.
const powered = "TESD_TEST_POWERED"

// powerLives is a node, by itself, on a disk that loses with the power what was not synced. Each life is a process.
type powerLives struct {
	t     *testing.T
	disk  *powerloss.Disk
	dir   string
	acked int // bumps
}

// live runs the node until it has done all that it does in a life, or power is lost at the nth sync. It
// returns what was lost, whether it ended by itself, and why it refused to start.
func (l *powerLives) live(n int, rng *rand.Rand) (loss powerloss.Loss, done bool, refused string) {
	l.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPoweredNode$")
	cmd.Env = append(os.Environ(), powered+"="+filepath.Join(l.dir, "data"))
	err := l.disk.Live(cmd, n, func(line string) { // which says how it ended
		var bumps int
		if _, err := fmt.Sscanf(line, "has %d", &bumps); err == nil && bumps < l.acked {
			l.t.Errorf("%d bumps were acknowledged, and %d are there", l.acked, bumps)
		} else if err == nil {
			l.acked = bumps
		}
		_, _ = fmt.Sscanf(line, "acknowledged %d", &l.acked)
		done = done || line == "done"
		if why, ok := strings.CutPrefix(line, "refused "); ok {
			refused = why
		}
	})
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		l.t.Fatal(err)
	}
	if loss, err = l.disk.Lose(rng); err != nil {
		l.t.Fatal(err)
	}
	return loss, done, refused
}

// TestPowerLostAtEverySync loses power at the nth sync, for every n, from the founding over bumps to
// snapshots, and again in the next life. All that was acknowledged is there after it. A node that has
// acknowledged nothing may refuse to start, if it says why.
func TestPowerLostAtEverySync(t *testing.T) {
	for _, chance := range []bool{false, true} {
		lost, refusals, n := 0, 0, 0
		for over := false; !over; n += *everySync {
			rng := rand.New(rand.NewPCG(uint64(n), 12))
			keep := rng
			if !chance {
				keep = nil
			}
			dir := t.TempDir()
			disk, unmount := mustMount(t, dir)
			l := &powerLives{t: t, disk: disk, dir: dir}
			first, done, _ := l.live(n, keep)
			over = done
			second, done, refused := l.live(rng.IntN(n+5), keep)
			for _, loss := range []powerloss.Loss{first, second} {
				if loss.Any() {
					lost++
				}
			}
			if refused == "" {
				_, done, refused = l.live(1<<20, keep)
			}
			switch {
			case done:
			case refused != "" && l.acked == 0 && strings.Contains(refused, "data"):
				refusals++
			default:
				t.Errorf("after power was lost at sync %d (by chance: %t), with %d bumps acknowledged, the node does not come back: %s",
					n, chance, l.acked, refused)
			}
			unmount()
		}
		t.Logf("by chance: %t; %d syncs; something was lost %d times; refused %d times", chance, n, lost, refusals)
		if lost < n / *everySync {
			t.Errorf("something was lost only %d times", lost)
		}
	}
}

// TestNamesAboveTheDataDirectory has a data directory made above which a process has made others, and was killed
// before it synced their names. They are there after a loss of power.
func TestNamesAboveTheDataDirectory(t *testing.T) {
	for _, made := range []string{"", "a", "a/b", "a/b/c", "a/b/c/data"} {
		root := t.TempDir()
		disk, unmount := mustMount(t, root)
		if err := os.MkdirAll(filepath.Join(root, made), 0o700); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(root, "a", "b", "c", "data")
		if err := cluster.MakeDir(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := disk.Lose(nil); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("with %q made before: %v", made, err)
		}
		unmount()
	}
}

// mustMount mounts a disk that loses with the power what was not synced.
func mustMount(t *testing.T, dir string) (disk *powerloss.Disk, unmount func()) {
	t.Helper()
	disk, err := powerloss.New(dir)
	if errors.Is(err, powerloss.ErrUnavailable) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return disk, func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	}
}

// nobody is the network of a node without others.
type nobody struct{ *memnet.Network }

// Dial reaches nobody but the node itself.
func (a nobody) Dial(ctx context.Context, address string) (net.Conn, error) {
	return a.Network.Dial(ctx, "n1", address)
}

// TestPoweredNode is the node of TestPowerLostAtEverySync: it says what it has, bumps, takes snapshots,
// and says what was acknowledged.
func TestPoweredNode(t *testing.T) {
	dir := os.Getenv(powered)
	if dir == "" {
		t.Skip("it is a process of TestPowerLostAtEverySync")
	}
	refuse := func(err error) {
		fmt.Println("refused", strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
	storage, err := cluster.OpenDir(dir, nil)
	if err != nil {
		refuse(err)
	}
	const address = "n1:9000"
	node, err := cluster.Open(cluster.Config{
		NodeID: "n1", RaftAddress: address, RegistryID: clustertest.Registry, Storage: storage, Seed: clustertest.Seed,
		Peers: []cluster.Peer{{ID: "n1", Address: address}}, Network: nobody{memnet.New()}, TrailingLogs: 1,
		Timing: cluster.Timing{Heartbeat: 30 * time.Millisecond, LeaderLease: 25 * time.Millisecond},
	})
	if err != nil {
		refuse(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- node.Run(t.Context()) }()
	for ready := false; !ready; {
		select {
		case err := <-ended:
			refuse(err)
		case <-time.After(2 * time.Millisecond):
			ready = true
			for _, check := range node.Ready() {
				ready = ready && check.OK
			}
		}
	}
	var bumps int
	if _, err := fmt.Sscanf(versionIn(t, node.View(), "api:a"), "1.0.%d", &bumps); err != nil {
		refuse(err)
	}
	fmt.Println("has", bumps)
	for end := bumps + 6; bumps < end; {
		bumps++
		if result, err := node.Propose(t.Context(), keyed("api:a", fmt.Sprint("bump ", bumps))); err != nil || result.Refusal != nil {
			refuse(fmt.Errorf("a bump: %w, %v", err, result.Refusal))
		}
		fmt.Println("acknowledged", bumps)
		if bumps%2 == 0 {
			if err := node.Snapshot(); err != nil {
				refuse(err)
			}
		}
	}
	fmt.Println("done")
}
