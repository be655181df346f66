package fsm

import "encoding/binary"

const (
	keyShards    = 256
	keyShardSize = 16 // slots that a shard starts with

	// occupied marks a slot that holds an entry; the other bits are the lowest ones of its number.
	occupied = 1 << 31
)

// keyTable finds the entry of a key in a log of keys. It holds the entries' numbers only, in
// hash tables with linear probing, and reads the names in the log: 4 bytes a slot, and nothing for
// the collector to follow. Names are hashes already. There are many small tables, so that no
// single growth of one takes long. It belongs to the writer; nothing of it is in the state.
type keyTable [keyShards]keyShard

// keyShard holds the names that begin with the same byte.
type keyShard struct {
	slots []uint32 // a power of two of them, or none
	used  int
}

func (t *keyTable) shard(name *keyName) *keyShard { return &t[name[0]] }

// home is where the probing for a name starts.
func (s *keyShard) home(name *keyName) int {
	return int(binary.LittleEndian.Uint32(name[1:])) & (len(s.slots) - 1)
}

// number is that of the entry that a slot holds: the one with these lowest bits from the
// oldest on, since the log never holds as many as they can tell apart.
func (l *keyLog) number(slot uint32) uint64 {
	return l.head + uint64((slot-uint32(l.head))&(occupied-1))
}

// find returns the number of a key's entry.
func (t *keyTable) find(l *keyLog, name *keyName) (n uint64, ok bool) {
	s := t.shard(name)
	if s.used == 0 {
		return 0, false
	}
	for i := s.home(name); s.slots[i] != 0; i = (i + 1) & (len(s.slots) - 1) {
		if n := l.number(s.slots[i]); l.record(n).name == *name {
			return n, true
		}
	}
	return 0, false
}

// add takes in entry n of the log, whose name is new.
func (t *keyTable) add(l *keyLog, n uint64) {
	s := t.shard(&l.record(n).name)
	if (s.used+1)*8 > len(s.slots)*5 { // five eighths full: an absent name takes four probes
		old := s.slots
		s.slots = make([]uint32, max(keyShardSize, 2*len(old)))
		for _, slot := range old {
			if slot != 0 {
				s.place(l, slot)
			}
		}
	}
	s.place(l, uint32(n)|occupied)
	s.used++
}

func (s *keyShard) place(l *keyLog, slot uint32) {
	i := s.home(&l.record(l.number(slot)).name)
	for s.slots[i] != 0 {
		i = (i + 1) & (len(s.slots) - 1)
	}
	s.slots[i] = slot
}

// remove forgets entry n, which is in the table, and still in the log.
func (t *keyTable) remove(l *keyLog, n uint64) {
	name := &l.record(n).name
	s := t.shard(name)
	mask := len(s.slots) - 1
	gap := s.home(name)
	for s.slots[gap] != uint32(n)|occupied {
		gap = (gap + 1) & mask
	}
	// Entries behind the gap move into it unless that is before their home (Knuth 6.4, algorithm R).
	for i := (gap + 1) & mask; s.slots[i] != 0; i = (i + 1) & mask {
		home := s.home(&l.record(l.number(s.slots[i])).name)
		if (i-home)&mask >= (i-gap)&mask {
			s.slots[gap], gap = s.slots[i], i
		}
	}
	s.slots[gap] = 0
	s.used--
}
