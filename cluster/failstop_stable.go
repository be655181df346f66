package cluster

import (
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/hashicorp/raft"
)

// Set writes a value.
func (s *failStop) Set(key, value []byte) error {
	sealed := sealValue(key, value)
	return s.write(operation{what: "writing " + string(key)}, func() error { return s.stable.Set(key, sealed) })
}

// Get reads a value. The error for one that was never written is the store's own, as raft
// expects it.
func (s *failStop) Get(key []byte) (value []byte, err error) {
	op := operation{what: "reading " + string(key)}
	err = s.read(op, func() error { value, err = s.stable.Get(key); return err })
	if err == nil {
		value, err = unsealValue(key, value)
	} else if isNotFound(err) {
		return nil, err
	}
	if err != nil {
		return nil, s.fail(op, err)
	}
	return value, nil
}

// SetUint64 writes a number.
func (s *failStop) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 reads a number that SetUint64 wrote.
func (s *failStop) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, s.fail(operation{what: "reading " + string(key)}, fmt.Errorf("it has %d bytes, which is no number", len(value)))
	}
	return binary.BigEndian.Uint64(value), nil
}

// raft panics when it cannot write its term or read a committed entry, which would end the
// process before the node has said why. Its goroutine that meets a disk that has failed ends
// instead, and the node, which was told already, shuts down the rest.

// raftLog is the log as raft sees it.
type raftLog struct {
	raft.LogStore
	disk *failStop
}

// GetLog reads an entry.
func (l raftLog) GetLog(index uint64, entry *raft.Log) error {
	err := l.LogStore.GetLog(index, entry)
	if err != nil && l.disk.failure() != nil {
		runtime.Goexit()
	}
	return err
}

// StoreLogs writes entries. What a gap has removed from the log below is not to be found in a cache of it either.
func (l raftLog) StoreLogs(logs []*raft.Log) error {
	if first, last, gap := l.disk.gap(logs); gap {
		if err := l.LogStore.DeleteRange(first, last); err != nil {
			return err
		}
	}
	return l.LogStore.StoreLogs(logs)
}

// raftStable is the stable store as raft sees it.
type raftStable struct{ *failStop }

// SetUint64 writes a number.
func (s raftStable) SetUint64(key []byte, value uint64) error {
	err := s.failStop.SetUint64(key, value)
	if err != nil {
		runtime.Goexit()
	}
	return err
}
