package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// A backup is a snapshot of the machine, as [fsm.View.WriteTo] writes it. Restoring it
// makes a new cluster of one node, offline: with an id of its own, so that nobody takes
// it for the old one, and with the peers that it invites once it runs. They start with
// empty directories and become members like any others. Until they are voters the node
// serves nothing: what it acknowledged would be on one disk.

// RestoreDir makes the data directory of a node that begins a new cluster with the state
// of a backup. The directory must be empty or not exist; it comes into being as a whole or
// not at all. peers are the nodes that the cluster is to have, this one among them. It
// returns the state that was restored. A damaged backup is [fsm.ErrBadSnapshot], and a disk that fails
// [ErrDiskFailed].
func RestoreDir(dir, nodeID string, peers []Peer, backup io.Reader, logger hclog.Logger) (fsm.View, error) {
	dir = filepath.Clean(dir)
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fsm.View{}, fmt.Errorf("the data directory %s is not empty", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fsm.View{}, fmt.Errorf("looking at the data directory: %w", err)
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return fsm.View{}, fmt.Errorf("making the data directory: %w", err)
	}
	building, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".restoring-*")
	if err != nil {
		return fsm.View{}, fmt.Errorf("making the data directory: %w", err)
	}
	defer os.RemoveAll(building) // when it has been renamed there is none
	storage, err := OpenDir(building, logger)
	if err != nil {
		return fsm.View{}, err
	}
	view, err := Restore(storage, nodeID, peers, backup)
	if err = errors.Join(err, storage.Close()); err != nil {
		return fsm.View{}, err
	}
	return view, install(building, dir)
}

// install makes a directory that has been built the one of that name, durably. That the name cannot be
// had need not be the disk's fault: it may be where another disk is mounted.
func install(building, dir string) error {
	err := syncDir(building)
	if err == nil {
		err = os.Rename(building, dir) // over an empty directory, or none
		if err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("installing the data directory: %w", err)
		}
	}
	if err == nil {
		err = syncDir(filepath.Dir(dir))
	}
	if err != nil {
		return fmt.Errorf("%w: installing the data directory: %w", ErrDiskFailed, err)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Restore is [RestoreDir] for storage that is open and empty. What it leaves there if it
// fails is of no use.
func Restore(storage *Storage, nodeID string, peers []Peer, backup io.Reader) (fsm.View, error) {
	machine, err := fsm.Restore(backup)
	if err != nil {
		return fsm.View{}, fmt.Errorf("reading the backup: %w", err)
	}
	if err := machine.Refound(newClusterID()); err != nil {
		return fsm.View{}, fmt.Errorf("reading the backup: %w", err)
	}
	view := machine.View()
	at := slices.IndexFunc(peers, func(p Peer) bool { return p.ID == nodeID })
	if at < 0 {
		return fsm.View{}, fmt.Errorf("node %q is not among the peers", nodeID)
	}
	cfg := Config{NodeID: nodeID, RaftAddress: peers[at].Address, Peers: peers, RegistryID: view.Cluster().RegistryID, Storage: storage}
	if err := cfg.Validate(); err != nil {
		return fsm.View{}, err
	}
	disk, err := openFailStop(storage)
	if err != nil {
		return fsm.View{}, err
	}
	id, err := loadIdentity(disk, nodeID)
	if err != nil {
		return fsm.View{}, err
	}
	if id.initialised() {
		return fsm.View{}, fmt.Errorf("the data directory is that of node %s already", id.NodeID)
	}
	id.Founders = []founder{{nodeID, cfg.RaftAddress, id.Incarnation}}
	id.ClusterID = view.Cluster().ClusterID
	id.Invited = slices.Delete(slices.Clone(peers), at, at+1)
	if err := begin(disk, configuration(id.Founders), view); err != nil {
		return fsm.View{}, err
	}
	return view, id.save(disk) // last: without it the directory is nobody's
}

// restoredTerm is the term in which a restored state counts as committed.
const restoredTerm = 1

// begin writes the snapshot that a restored node begins with.
func begin(disk *failStop, members raft.Configuration, view fsm.View) error {
	_, addresses := raft.NewInmemTransport("") // writes addresses in a form of old versions, which nobody reads
	index := view.Index()
	sink, err := disk.snapshots.Create(1, index, restoredTerm, members, index, addresses)
	if err == nil {
		if _, err = view.WriteTo(sink); err != nil {
			err = errors.Join(err, sink.Cancel())
		} else {
			err = sink.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("%w: writing the snapshot to begin with: %w", ErrDiskFailed, err)
	}
	return disk.SetUint64([]byte(currentTermKey), restoredTerm)
}

// newClusterID draws the id of a cluster: 128 random bits.
func newClusterID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails, says crypto/rand
	return hex.EncodeToString(id[:])
}

// awaited says for whom a restored cluster waits before it serves; "" if for nobody.
func (f *founding) awaited() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.identity.Invited) == 0 {
		return ""
	}
	ids := make([]string, len(f.identity.Invited))
	for i, p := range f.identity.Invited {
		ids[i] = p.ID
	}
	reason := fmt.Sprintf("waiting for %s to become voters of the restored cluster", strings.Join(ids, ", "))
	if f.obstacle != "" {
		reason += ": " + f.obstacle
	}
	return reason
}
