package fsm_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/tesd/tesd/fsm"
)

// registryOf returns a machine whose default registry has n entities: a global and
// components, a hundred of them linked to it and the others to each tenth of those.
func registryOf(n int) *fsm.Machine {
	c := manyEntities(n - 1)
	entities := c.Op.(fsm.Migrate).Entities
	for i := 101; i < n; i++ {
		entities[i].ParentVersionID = fmt.Sprintf("component:%d", i%10)
	}
	m := fsm.New()
	m.Apply(1, fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(0), c}})
	return m
}

func bumpOf(id string) fsm.Command {
	return fsm.Command{Registry: defaultRegistry, Actor: "anonymous", Op: fsm.Bump{Scope: fsm.Patch, EntityID: id, Cascade: true}}
}

// benchApply applies the same command again and again, with a view after each as a
// node publishes it.
func benchApply(b *testing.B, m *fsm.Machine, c fsm.Command) {
	index := m.View().Index()
	b.ReportAllocs()
	for b.Loop() {
		index++
		results := m.Apply(index, fsm.Entry{Stamp: int64(index), Commands: []fsm.Command{c}})
		if results[0].Refusal != nil {
			b.Fatal(results[0].Refusal)
		}
		m.View()
	}
}

// BenchmarkBump has one entity move: what it costs must not follow the registry's size.
func BenchmarkBump(b *testing.B) {
	for _, n := range []int{41, 1_000, fsm.MaxEntities} {
		b.Run(fmt.Sprintf("one-of-%d", n), func(b *testing.B) { benchApply(b, registryOf(n), bumpOf(fmt.Sprintf("component:%d", min(n-2, 50)))) })
	}
	b.Run("all-of-41", func(b *testing.B) { benchApply(b, registryOf(41), bumpOf("global:main")) })
}

// benchEntries is a registry of a thousand entities as projects have them, and entries of as many
// commands as a busy cluster collects, each of which bumps any one of them.
func benchEntries(b *testing.B) (m *fsm.Machine, entries []fsm.Entry) {
	const components, perEntry = 1_000, 128
	c := manyEntities(components)
	entities := c.Op.(fsm.Migrate).Entities
	for i := 1; i < len(entities); i++ {
		e := &entities[i]
		if i%10 > 0 { // the others move with the global
			e.UpdateStrategy, e.ParentVersionID = fsm.Independent, ""
		}
		e.Files = []fsm.File{{Path: fmt.Sprintf("src/c%d/version.ts", i), Pattern: `VERSION = "(.*)"`, Replacement: `VERSION = "$1"`, Description: "what it prints"}}
	}
	m = fsm.New()
	if r := m.Apply(1, fsm.Entry{Stamp: 1_700_000_000_000, Commands: []fsm.Command{founding(0), c}})[1]; r.Refusal != nil {
		b.Fatal(r.Refusal)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 64 {
		entry := fsm.Entry{Stamp: 1_700_000_000_000 + int64(i)}
		for range perEntry {
			entry.Commands = append(entry.Commands, bumpOf(entities[1+random.IntN(components)].ID))
		}
		entries = append(entries, entry)
	}
	return m, entries
}

// BenchmarkEntries applies them, with a view after each. Its times are those of one command.
func BenchmarkEntries(b *testing.B) {
	m, entries := benchEntries(b)
	index := m.View().Index()
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		index++
		entry := entries[index%uint64(len(entries))]
		entry.Stamp += int64(index)
		entry.Commands = entry.Commands[:min(len(entry.Commands), b.N-done)]
		for _, r := range m.Apply(index, entry) {
			if r.Transaction == nil {
				b.Fatal(r.Refusal)
			}
		}
		m.View()
		done += len(entry.Commands)
	}
}

// BenchmarkBatch applies the bumps of an entry as one command.
func BenchmarkBatch(b *testing.B) {
	m, entries := benchEntries(b)
	var batch fsm.Batch
	for _, c := range entries[0].Commands {
		batch.Requests = append(batch.Requests, c.Op.(fsm.Bump))
	}
	benchApply(b, m, fsm.Command{Registry: defaultRegistry, Actor: "anonymous", Op: batch})
}

// BenchmarkAround is what a bump costs on its way to the machine and back: on the node that is asked,
// in the log of each, and between two nodes if the one that is asked does not lead. Its times, too, are
// those of one command.
func BenchmarkAround(b *testing.B) {
	m, entries := benchEntries(b)
	v, entry := m.View(), entries[0]
	var encoded [][]byte
	for _, c := range entry.Commands {
		encoded = append(encoded, fsm.EncodeCommand(nil, c))
	}
	record, err := fsm.JoinEntry(entry.Stamp, encoded)
	if err != nil {
		b.Fatal(err)
	}
	result := m.Apply(v.Index()+1, entry)[0]
	answer := fsm.EncodeResult(nil, &result)
	perCommand := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i += len(encoded) {
				f()
			}
		})
	}
	perCommand("encode", func() {
		for i := range entry.Commands {
			fsm.EncodeCommand(nil, entry.Commands[i])
		}
	})
	perCommand("reach", func() {
		for i := range entry.Commands {
			v.Reach(entry.Commands[i])
		}
	})
	perCommand("join", func() { fsm.JoinEntry(entry.Stamp, encoded) })
	perCommand("decode", func() { fsm.DecodeEntry(record) })
	perCommand("encode-result", func() {
		for range encoded {
			fsm.EncodeResult(make([]byte, 0, 1024), &result)
		}
	})
	perCommand("decode-result", func() {
		for range encoded {
			fsm.DecodeResult(answer)
		}
	})
	perCommand("payload", func() {
		for range encoded {
			result.Transaction.Payload()
		}
	})
	perCommand("json", func() {
		buf := make([]byte, 0, 1024)
		for range encoded {
			result.Entities[0].AppendJSON(result.Transaction.Changes[0].AppendJSON(buf))
		}
	})
}

func BenchmarkCascade10000(b *testing.B) {
	benchApply(b, registryOf(10_000), bumpOf("global:main"))
}

func BenchmarkReplay(b *testing.B) {
	m := registryOf(41)
	c := bumpOf("component:7")
	c.Key = "key"
	m.Apply(2, fsm.Entry{Stamp: 2, Commands: []fsm.Command{c}})
	benchApply(b, m, c)
}

// millionTransactions bumps a thousand entities in turn, keyed or not.
func millionTransactions(b *testing.B, keyed bool) *fsm.Machine {
	const transactions, perEntry = 1_000_000, 100
	m := registryOf(1_000)
	for done := 0; done < transactions; {
		entry := fsm.Entry{Stamp: 1_700_000_000_000 + int64(done)}
		for range perEntry {
			c := bumpOf(fmt.Sprintf("component:%d", 100+done*7%899))
			if keyed {
				c.Key = fmt.Sprintf("5f0c1a52-0f6c-4d6e-9d3a-%012d", done)
			}
			entry.Commands = append(entry.Commands, c)
			done++
		}
		if r := m.Apply(m.View().Index()+1, entry)[0]; r.Refusal != nil {
			b.Fatal(r.Refusal)
		}
	}
	return m
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkMemoryPerTransaction reports what a million transactions of one change
// weigh in memory. Run it with -benchtime=1x.
func BenchmarkMemoryPerTransaction(b *testing.B) {
	for _, keyed := range []bool{false, true} {
		b.Run(fmt.Sprintf("keyed=%v", keyed), func(b *testing.B) {
			for b.Loop() {
				base := registryOf(1_000)
				before := heap()
				runtime.KeepAlive(base)
				m := millionTransactions(b, keyed)
				b.ReportMetric(float64(heap()-before)/1e6, "B/tx")
				runtime.KeepAlive(m)
			}
		})
	}
}

// BenchmarkSnapshot writes, and BenchmarkRestore reads, a million transactions.
func BenchmarkSnapshot(b *testing.B) {
	for _, keyed := range []bool{false, true} {
		v := millionTransactions(b, keyed).View()
		b.Run(fmt.Sprintf("keyed=%v", keyed), func(b *testing.B) {
			for b.Loop() {
				n, err := v.WriteTo(io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(n)/1e6, "B/tx")
			}
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	for _, keyed := range []bool{false, true} {
		file := snapshot(b, millionTransactions(b, keyed).View())
		for name, read := range map[string]func(io.Reader) (*fsm.Machine, error){"restore": fsm.Restore, "load": fsm.Load} {
			b.Run(fmt.Sprintf("%s/keyed=%v", name, keyed), func(b *testing.B) {
				for b.Loop() {
					m, err := read(bytes.NewReader(file))
					if err != nil {
						b.Fatal(err)
					}
					runtime.KeepAlive(m)
				}
				b.ReportMetric(float64(len(file))/1e6, "B/tx")
			})
		}
	}
}

func BenchmarkView(b *testing.B) {
	m := registryOf(fsm.MaxEntities)
	b.ReportAllocs()
	for b.Loop() {
		m.View()
	}
}

func BenchmarkStateHash(b *testing.B) {
	m := registryOf(fsm.MaxEntities)
	b.ReportAllocs()
	for b.Loop() {
		m.StateHash()
	}
}

func BenchmarkParseVersion(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		fsm.ParseVersion("12.34.56-rc.1+build")
	}
}
