package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// On disk an entry of the log has in front of its extensions, of which tesd uses none, a byte
// that says so and a CRC-32C of all that identifies the entry. A value of the stable store has
// a CRC-32C of its key and itself in front of it. Nobody above the stores sees either.

const (
	sealFormat = 1
	sealSize   = 1 + 4
)

var (
	errChecksum   = errors.New("the disk gave back other than what was written")
	errNoChecksum = errors.New("it carries no checksum: it is damaged, or was written by a build of tesd from before there were any")
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // which makes it once

// sealAll returns copies of entries that carry their checksums. The data is not copied.
func sealAll(logs []*raft.Log) []*raft.Log {
	entries, sealed := make([]raft.Log, len(logs)), make([]*raft.Log, len(logs))
	size := 0
	for _, l := range logs {
		size += sealSize + len(l.Extensions)
	}
	extensions := make([]byte, 0, size)
	for i, l := range logs {
		start := len(extensions)
		extensions = append(extensions, sealFormat)
		extensions = binary.LittleEndian.AppendUint32(extensions, entryChecksum(l, l.Extensions))
		extensions = append(extensions, l.Extensions...)
		entries[i] = *l
		entries[i].Extensions = extensions[start:len(extensions):len(extensions)]
		sealed[i] = &entries[i]
	}
	return sealed
}

// unseal checks an entry that was read as the one of an index, and takes its checksum off.
func unseal(l *raft.Log, index uint64) error {
	seal := l.Extensions
	if len(seal) == 0 {
		return errNoChecksum
	} else if len(seal) < sealSize || seal[0] != sealFormat {
		return fmt.Errorf("checksum of entry %d: %w", index, errChecksum)
	}
	l.Extensions = nil
	if len(seal) > sealSize {
		l.Extensions = seal[sealSize:]
	}
	if l.Index != index || binary.LittleEndian.Uint32(seal[1:]) != entryChecksum(l, l.Extensions) {
		return fmt.Errorf("checksum of entry %d: %w", index, errChecksum)
	}
	return nil
}

// entryChecksum covers what identifies an entry: not when its leader made it.
func entryChecksum(l *raft.Log, extensions []byte) uint32 {
	var head [25]byte
	binary.LittleEndian.PutUint64(head[0:], l.Index)
	binary.LittleEndian.PutUint64(head[8:], l.Term)
	binary.LittleEndian.PutUint64(head[16:], uint64(len(l.Data)))
	head[24] = byte(l.Type)
	sum := crc32.Update(0, castagnoli(), head[:])
	sum = crc32.Update(sum, castagnoli(), l.Data)
	return crc32.Update(sum, castagnoli(), extensions)
}

// sealValue returns what the stable store holds of a value.
func sealValue(key, value []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(value)), valueChecksum(key, value)), value...)
}

// unsealValue returns the value that sealValue was given.
func unsealValue(key, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 || binary.LittleEndian.Uint32(sealed) != valueChecksum(key, sealed[4:]) {
		return nil, fmt.Errorf("checksum of %q: %w, or it was written by a build of tesd from before there were checksums", key, errChecksum)
	}
	return sealed[4:], nil
}

func valueChecksum(key, value []byte) uint32 {
	var head [8]byte
	binary.LittleEndian.PutUint64(head[:], uint64(len(key)))
	sum := crc32.Update(0, castagnoli(), head[:])
	sum = crc32.Update(sum, castagnoli(), key)
	return crc32.Update(sum, castagnoli(), value)
}
