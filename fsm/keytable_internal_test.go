package fsm

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestKeyTableIsAMap holds the table against a Go map, as keys come and the oldest go, with
// names that crowd into few places and numbers that outgrow what a slot holds of them.
func TestKeyTableIsAMap(t *testing.T) {
	for _, start := range []uint64{0, occupied - 3000, 1<<32 - 3000, 1<<63 - 3000} {
		random := rand.New(rand.NewPCG(1, start))
		log := keyLog{head: start, base: start}
		var table keyTable
		want := make(map[keyName]uint64)
		name := func() (n keyName) {
			n[0] = byte(random.IntN(2))
			binary.LittleEndian.PutUint32(n[1:], uint32(random.IntN(40)-20)) // about the first and the last slot
			n[15] = byte(random.IntN(60))
			return n
		}
		for step := range 20_000 {
			key := name()
			n, ok := table.find(&log, &key)
			if was, known := want[key]; n != was || ok != known {
				t.Fatalf("from %d, step %d: found %d, %v; want %d, %v", start, step, n, ok, was, known)
			}
			if !ok {
				want[key] = log.end()
				k := keyEntry{keyRecord: keyRecord{name: key}}
				if step%7 == 0 {
					k.other = &noTransaction{version: "1.0"}
				}
				log.append(k)
				table.add(&log, log.end()-1)
			}
			if log.len() > uint64(500+step/10%1000) {
				oldest := log.at(log.head)
				delete(want, oldest.name)
				table.remove(&log, log.head)
				log.pop()
			}
		}
		for key, n := range want {
			if got, ok := table.find(&log, &key); !ok || got != n {
				t.Fatalf("from %d: entry %d is not found", start, n)
			}
			if k := log.at(n); k.name != key || k.without != (k.other != nil) {
				t.Fatalf("from %d: entry %d is another's", start, n)
			}
		}
		if uint64(len(want)) != log.len() {
			t.Fatalf("from %d: %d entries for %d keys", start, log.len(), len(want))
		}
	}
}
