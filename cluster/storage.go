package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Storage is where a node keeps what must outlive its process.
type Storage struct {
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	Close     func() error // may be nil

	// Checked says that every entry of Log was read when it was opened, and was as it had been
	// written. Otherwise the node reads them when it starts.
	Checked bool

	// Name is what errors call the log and the stable store: their file. May be empty.
	Name string

	// Retained is how many snapshots Snapshots keeps: the log stays that the oldest of them
	// needs to become the present state. 0 counts as 1.
	Retained int

	// Free returns how many bytes may still be written. May be nil, for room without end.
	Free func() (uint64, error)
}

// logFile is the file of a data directory that holds the log and what goes with it.
const logFile = "raft.db"

// OpenDir opens a data directory, making it if needed. The log is locked: a second
// process on the same directory fails. All files are readable by their owner only,
// because they may hold the signing key. Files that are damaged are [ErrDiskFailed].
func OpenDir(dir string, logger hclog.Logger) (*Storage, error) {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, logFile)
	var log *raftboltdb.BoltStore
	err := checkFile(file)
	if err == nil {
		err = guarded(func() (err error) { log, err = openLog(file, false); return err })
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("data directory %s is in use by another process", dir)
	} else if err != nil {
		return nil, fmt.Errorf("%w: opening %s: %w", ErrDiskFailed, file, err)
	}
	snapshots, err := openSnapshots(dir, logger.Named("snapshots"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: opening the snapshots in %s: %w", ErrDiskFailed, dir, err), log.Close())
	}
	if err := syncDir(dir); err != nil { // so that the log and the snapshots themselves are there after a loss of power
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrDiskFailed, err), log.Close())
	}
	return &Storage{
		Log: log, Stable: log, Snapshots: snapshots, Close: log.Close, Checked: true, Name: file, Retained: retainedSnapshots,
		Free: func() (uint64, error) { return freeSpace(dir) },
	}, nil
}

// makeDir makes a directory and those above it, if needed, and has its name there after a loss of power. As long as it
// holds no log, so have all names above it: a process may have made those that was killed before it synced them.
func makeDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, err = os.Lstat(filepath.Join(dir, logFile))
	fresh := err != nil
	for at := dir; fresh || at == dir; at = filepath.Dir(at) {
		above := filepath.Dir(at)
		if above == at {
			break
		}
		switch err := syncDir(above); {
		case err == nil, errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS): // what may not be read or written was made by others
		case errors.Is(err, syscall.EINVAL), errors.Is(err, errors.ErrUnsupported): // such a file system keeps names by itself
		default:
			return fmt.Errorf("%w: syncing %s: %w", ErrDiskFailed, above, err)
		}
	}
	return nil
}

// openLog opens the file of the log. The freelist is not synced with every commit: rewriting
// it dominates the cost of a commit after a burst. It is rebuilt by a scan when the file is
// opened.
func openLog(file string, readOnly bool) (*raftboltdb.BoltStore, error) {
	return raftboltdb.New(raftboltdb.Options{
		Path: file,
		BoltOptions: &bbolt.Options{
			Timeout: 2 * time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly,
		},
	})
}

// checkFile finds damage in the file of the log, if there is one, while nobody writes to it.
func checkFile(file string) error {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 { // the library makes it
		return nil
	} else if err != nil {
		return err
	}
	return guarded(func() error {
		locked, err := openLog(file, true)
		if err != nil {
			return err
		}
		return errors.Join(checkPages(file, logBuckets()), locked.Close())
	})
}

// logBuckets are the buckets in the file of the log, the library's, and what their records can be.
// The values of the second are checked when they are read.
func logBuckets() buckets {
	return buckets{
		"logs": (&logReader{}).next,
		"conf": func(key, _ []byte) error {
			if !slices.Contains(stableKeys(), string(key)) {
				return fmt.Errorf("%q is no key of what is kept beside the log", key)
			}
			return nil
		},
	}
}

// logReader reads the records of the log as the library writes them, from the first on. It decodes
// with one handle: the library makes one for each entry, which takes ten times as long.
type logReader struct {
	handle codec.MsgpackHandle
	last   raft.Log // its data is only valid while it is read
}

// next checks the next record.
func (r *logReader) next(key, value []byte) error {
	if len(key) != 8 {
		return fmt.Errorf("%q is no index of an entry", key)
	}
	index := binary.BigEndian.Uint64(key)
	before := r.last
	r.last = raft.Log{}
	if err := codec.NewDecoderBytes(value, &r.handle).Decode(&r.last); err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	if err := unseal(&r.last, index); err != nil {
		return err
	}
	if before.Index > 0 && index != before.Index+1 {
		return fmt.Errorf("entry %d follows entry %d", index, before.Index)
	}
	return follows(before, r.last)
}

// stableKeys are the keys of all that is kept beside the log: raft's and ours.
func stableKeys() []string {
	return []string{currentTermKey, "LastVoteTerm", "LastVoteCand", identityKey, divergedKey}
}

// checkDir refuses a directory that lost its log but kept its snapshots: what was in
// the log is gone, and a node without memory of its votes must not take part.
func checkDir(dir string) error {
	info, err := os.Stat(filepath.Join(dir, logFile))
	if err == nil && info.Size() > 0 {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	snapshots, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if err == nil && len(snapshots) > 0 {
		return fmt.Errorf("%w: data directory %s has snapshots but no log (raft.db): move the directory away and let the node join anew", ErrDiskFailed, dir)
	}
	return nil
}

// identity is what a data directory knows about itself.
type identity struct {
	NodeID string `json:"nodeId"`

	// Incarnation is drawn when the directory is first used. It is part of the raft
	// server id, so that a node that lost its disk never takes part under the id in
	// whose name it voted before.
	Incarnation string `json:"incarnation"`

	// Founders are the members that the cluster was founded with, each with its
	// incarnation. It is empty until this node has joined them.
	Founders []founder `json:"founders,omitempty"`

	// Joined says that this node became a member after the founding.
	Joined bool `json:"joined,omitempty"`

	// Belonged says that this node, which joined after the founding, has read of a
	// configuration that it is in.
	Belonged bool `json:"belonged,omitempty"`

	// Invited are the nodes that a restored cluster waits for. Only the node that it was
	// restored on has any.
	Invited []Peer `json:"invited,omitempty"`

	// ClusterID is the cluster that the log belongs to, once that is known.
	ClusterID string `json:"clusterId,omitempty"`
}

// initialised reports whether the directory is, or was, a member's. One that is not
// holds nothing that anyone relies on.
func (id *identity) initialised() bool { return id.Joined || len(id.Founders) > 0 }

// belonged reports whether the node has been in a configuration of the cluster.
func (id *identity) belonged() bool { return id.Belonged || len(id.Founders) > 0 }

const (
	identityKey    = "tesd identity"
	currentTermKey = "CurrentTerm" // raft's name of its term
)

// loadIdentity returns the directory's identity, making one for an empty directory.
func loadIdentity(disk *failStop, nodeID string) (identity, error) {
	raw, err := disk.Get([]byte(identityKey))
	if err != nil && !isNotFound(err) {
		return identity{}, fmt.Errorf("reading the identity of the data directory: %w", err)
	}
	if err != nil {
		if err := disk.checkUnused(); err != nil {
			return identity{}, err
		}
		var incarnation [4]byte
		rand.Read(incarnation[:]) // never fails, says crypto/rand
		id := identity{NodeID: nodeID, Incarnation: hex.EncodeToString(incarnation[:])}
		return id, id.save(disk)
	}
	var id identity
	if err := json.Unmarshal(raw, &id); err != nil {
		return identity{}, fmt.Errorf("reading the identity of the data directory: %w", err)
	}
	if id.NodeID != nodeID {
		return identity{}, fmt.Errorf("the data directory belongs to node %q, not %q", id.NodeID, nodeID)
	}
	return id, nil
}

// checkUnused refuses a directory that has no identity but was used: what is in it was somebody's.
func (s *failStop) checkUnused() error {
	_, err := s.Get([]byte(currentTermKey))
	if err != nil && !isNotFound(err) {
		return err
	}
	last, lastErr := s.LastIndex()
	taken, listErr := s.snapshots.List()
	if err := errors.Join(lastErr, listErr); err != nil {
		return err
	}
	if err == nil || last > 0 || len(taken) > 0 {
		return fmt.Errorf("%w: %s: the identity of the data directory is missing, though it was used", ErrDiskFailed, s.file)
	}
	return nil
}

// isNotFound recognises a missing key of either store: the library has no sentinel
// that both share.
func isNotFound(err error) bool {
	return errors.Is(err, raftboltdb.ErrKeyNotFound) || err.Error() == "not found"
}

func (id *identity) save(store raft.StableStore) error {
	raw, err := json.Marshal(id)
	if err == nil {
		err = store.Set([]byte(identityKey), raw)
	}
	if err != nil {
		return fmt.Errorf("writing the identity of the data directory: %w", err)
	}
	return nil
}

// serverID is the raft id of a node in one of its lives.
func serverID(nodeID, incarnation string) raft.ServerID {
	return raft.ServerID(nodeID + "@" + incarnation)
}

// nodeIDOf returns the part of a raft id that people know.
func nodeIDOf(id raft.ServerID) string {
	for i := range len(id) {
		if id[i] == '@' {
			return string(id[:i])
		}
	}
	return string(id)
}
