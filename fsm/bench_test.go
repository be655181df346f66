package fsm_test

import (
	"bytes"
	"fmt"
	"io"
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
