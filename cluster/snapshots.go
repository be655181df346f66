package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

const (
	snapshotDir = "snapshots"         // of a data directory; the library's name
	asideDir    = "damaged-snapshots" // where those go that turned out to be damaged
	unfinished  = ".tmp"              // end of the name of a snapshot that is being written

	retainedSnapshots = 2

	// The file of a snapshot begins with this and a CRC-32C of what the library notes of it in a
	// file of its own: it protects the snapshot, but not its index, its term and its members.
	snapshotHead     = "tesd meta 1\n"
	snapshotHeadSize = len(snapshotHead) + 4
)

// snapshotFiles are the snapshots of a data directory. Only their owner can read them; the
// library would let everyone.
type snapshotFiles struct {
	files *raft.FileSnapshotStore
	dir   string
}

// openSnapshots opens the snapshots of a data directory, and removes what a process left
// there that ended while it wrote one. If it ended before the name of one was synced, that is done here: the
// log may go on behind that one.
func openSnapshots(dir string, logger hclog.Logger) (*snapshotFiles, error) {
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, retainedSnapshots, logger)
	if err != nil {
		return nil, err
	}
	s := &snapshotFiles{files, filepath.Join(dir, snapshotDir)}
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), unfinished) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	return s, errors.Join(err, syncDir(s.dir))
}

// Create begins a snapshot. Its files exist from here on, still empty.
func (s *snapshotFiles) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.files.Create(version, index, term, c, cIndex, t)
	if err != nil {
		return nil, errors.Join(err, s.clear(term, index))
	}
	dir := filepath.Join(s.dir, sink.ID()+unfinished)
	for _, name := range []string{"meta.json", "state.bin"} {
		err = errors.Join(err, os.Chmod(filepath.Join(dir, name), 0o600))
	}
	err = errors.Join(err, syncDir(dir)) // later the library syncs the files, and the directory above
	if err == nil {
		meta := raft.SnapshotMeta{Version: version, Index: index, Term: term, Configuration: c, ConfigurationIndex: cIndex}
		_, err = sink.Write(binary.LittleEndian.AppendUint32([]byte(snapshotHead), metaChecksum(&meta)))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("beginning a snapshot: %w", err), sink.Cancel(), os.RemoveAll(dir))
	}
	return snapshotFile{sink, dir}, nil
}

// clear removes what the library leaves of a snapshot that it cannot begin. Those that are written side by side are
// of other entries.
func (s *snapshotFiles) clear(term, index uint64) error {
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, fmt.Sprintf("%d-%d-", term, index)) && strings.HasSuffix(name, unfinished) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, name)))
		}
	}
	return err
}

// snapshotFile is a snapshot that is being written. If it cannot be finished, nothing stays.
type snapshotFile struct {
	raft.SnapshotSink
	dir string
}

// Close finishes the snapshot.
func (f snapshotFile) Close() error {
	if err := f.SnapshotSink.Close(); err != nil {
		return errors.Join(err, os.RemoveAll(f.dir))
	}
	return nil
}

// Cancel gives the snapshot up.
func (f snapshotFile) Cancel() error {
	return errors.Join(f.SnapshotSink.Cancel(), os.RemoveAll(f.dir))
}

// List returns the snapshots whose notes are as they were written, the newest first.
func (s *snapshotFiles) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.files.List()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(m *raft.SnapshotMeta) bool { return s.checkMeta(m) != nil }), nil
}

// Open opens a snapshot after it has read the whole file once and found it to be as it was
// written.
func (s *snapshotFiles) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := s.files.Open(id)
	if err != nil {
		return nil, nil, err
	}
	if err := readHead(meta, r); err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	sent := *meta
	sent.Size -= int64(snapshotHeadSize) // another node makes a head of its own
	return &sent, r, nil
}

// checkMeta holds what the library notes of a snapshot against what is in the snapshot.
func (s *snapshotFiles) checkMeta(m *raft.SnapshotMeta) error {
	f, err := os.Open(filepath.Join(s.dir, m.ID, "state.bin"))
	if err != nil {
		return err
	}
	return errors.Join(readHead(m, f), f.Close())
}

// readHead reads the head of a snapshot, and checks that the notes belong to it.
func readHead(m *raft.SnapshotMeta, r io.Reader) error {
	var head [snapshotHeadSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:len(snapshotHead)]) != snapshotHead {
		return fmt.Errorf("state.bin does not begin with %q: it is damaged, or was written by another build of tesd", strings.TrimSpace(snapshotHead))
	}
	if binary.LittleEndian.Uint32(head[len(snapshotHead):]) != metaChecksum(m) {
		return fmt.Errorf("checksum of meta.json: %w", errChecksum)
	}
	return nil
}

// metaChecksum covers what raft goes by.
func metaChecksum(m *raft.SnapshotMeta) uint32 {
	b := binary.AppendUvarint(nil, uint64(m.Version))
	for _, n := range []uint64{m.Index, m.Term, m.ConfigurationIndex, uint64(len(m.Configuration.Servers))} {
		b = binary.AppendUvarint(b, n)
	}
	for _, server := range m.Configuration.Servers {
		b = binary.AppendUvarint(b, uint64(server.Suffrage))
		for _, text := range []string{string(server.ID), string(server.Address)} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	return crc32.Checksum(b, castagnoli())
}

// faulty is a snapshot that cannot be used, and why.
type faulty struct {
	id    string
	index uint64 // 0 if even that is not known
	err   error
}

// Faulty returns the snapshots that List leaves out.
func (s *snapshotFiles) Faulty() ([]faulty, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	listed, err := s.files.List()
	if err != nil {
		return nil, err
	}
	var all []faulty
	for _, e := range entries {
		at := slices.IndexFunc(listed, func(m *raft.SnapshotMeta) bool { return m.ID == e.Name() })
		fault := error(nil)
		switch {
		case !e.IsDir():
		case at >= 0:
			fault = s.checkMeta(listed[at])
		case len(listed) < retainedSnapshots || indexOf(e.Name()) > listed[len(listed)-1].Index: // older ones are left out for their age
			fault = errors.New("meta.json cannot be read or belongs to another snapshot")
		}
		if fault != nil {
			all = append(all, faulty{e.Name(), indexOf(e.Name()), fault})
		}
	}
	return all, nil
}

// indexOf reads the index off the name of a snapshot: term, index, and time.
func indexOf(id string) uint64 {
	if parts := strings.Split(id, "-"); len(parts) == 3 {
		index, err := strconv.ParseUint(parts[1], 10, 64)
		if err == nil {
			return index
		}
	}
	return 0
}

// SetAside moves a snapshot where nobody takes it for one any more.
func (s *snapshotFiles) SetAside(id string) error {
	aside := filepath.Join(filepath.Dir(s.dir), asideDir)
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	return errors.Join(os.Rename(filepath.Join(s.dir, id), filepath.Join(aside, id)), syncDir(s.dir), syncDir(aside))
}
