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
// cluster had not committed. What a node would not start from is not salvaged either: the
// error is [ErrDiskFailed], and names it.
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

// salvage applies the log to the newest snapshot that can be used.
func salvage(s *Storage) (fsm.View, error) {
	disk, err := openFailStop(s)
	if err != nil {
		return fsm.View{}, err
	}
	r, err := disk.recover()
	if err != nil {
		return fsm.View{}, err
	}
	for index := r.index + 1; index <= r.last.Index; index++ {
		var entry raft.Log
		if err := disk.GetLog(index, &entry); err != nil {
			return fsm.View{}, err
		}
		if entry.Type != raft.LogCommand {
			continue
		}
		commands, err := fsm.DecodeEntry(entry.Data)
		if err != nil {
			return fsm.View{}, fmt.Errorf("log entry %d of term %d: %w", index, entry.Term, err)
		}
		r.machine.Apply(index, commands)
	}
	if !r.machine.View().Founded() {
		return fsm.View{}, errNoState()
	}
	return r.machine.View(), nil
}

func errNoState() error {
	return errors.New("the data directory holds no state: its node was never part of a cluster that was founded")
}
