package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// Salvage reads the state off the data directory of a node that does not run: for a backup
// when the majority of a cluster is gone for good. It has all that reached the node's disk:
// what the node had not got yet is not in it, and entries at the end may be in it that the
// cluster had not committed.
func Salvage(dir string, logger hclog.Logger) (fsm.View, error) {
	if _, err := os.Stat(dir); err != nil {
		return fsm.View{}, fmt.Errorf("looking at the data directory: %w", err)
	} else if _, err := os.Stat(filepath.Join(dir, logFile)); errors.Is(err, fs.ErrNotExist) { // opening it would make it
		return fsm.View{}, errNoState()
	}
	storage, err := OpenDir(dir, logger)
	if err != nil {
		return fsm.View{}, err
	}
	view, err := salvage(storage)
	return view, errors.Join(err, storage.Close())
}

// salvage applies the log to the newest snapshot that can be read.
func salvage(s *Storage) (fsm.View, error) {
	machine, taken, err := newestSnapshot(s.Snapshots)
	if err != nil {
		return fsm.View{}, err
	}
	first, err := s.Log.FirstIndex()
	if err != nil {
		return fsm.View{}, fmt.Errorf("reading the log: %w", err)
	}
	last, err := s.Log.LastIndex()
	if err != nil {
		return fsm.View{}, fmt.Errorf("reading the log: %w", err)
	}
	if last > taken && first > taken+1 {
		return fsm.View{}, fmt.Errorf("the log begins at entry %d, and the snapshot ends with entry %d", first, taken)
	}
	for index := taken + 1; index <= last; index++ {
		var entry raft.Log
		if err := s.Log.GetLog(index, &entry); err != nil {
			return fsm.View{}, fmt.Errorf("reading log entry %d: %w", index, err)
		}
		if entry.Type != raft.LogCommand {
			continue
		}
		commands, err := fsm.DecodeEntry(entry.Data)
		if err != nil {
			return fsm.View{}, fmt.Errorf("log entry %d of term %d: %w", index, entry.Term, err)
		}
		machine.Apply(index, commands)
	}
	if !machine.View().Founded() {
		return fsm.View{}, errNoState()
	}
	return machine.View(), nil
}

func errNoState() error {
	return errors.New("the data directory holds no state: its node was never part of a cluster that was founded")
}

// newestSnapshot returns the machine of the newest snapshot that can be read and the index
// of the log that it was taken at; an empty one if there is no snapshot.
func newestSnapshot(store raft.SnapshotStore) (m *fsm.Machine, index uint64, err error) {
	all, err := store.List()
	if err != nil {
		return nil, 0, fmt.Errorf("listing the snapshots: %w", err)
	}
	var faults error
	for _, meta := range all {
		_, r, err := store.Open(meta.ID)
		if err == nil {
			m, err = fsm.Restore(r)
			r.Close()
			if err == nil {
				return m, meta.Index, nil
			}
		}
		faults = errors.Join(faults, fmt.Errorf("snapshot %s: %w", meta.ID, err))
	}
	if faults != nil {
		return nil, 0, faults
	}
	return fsm.New(), 0, nil
}
