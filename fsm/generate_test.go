package fsm_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

// dice gives a number from 0 to n-1. All random commands of these tests are made by
// throwing dice, whoever throws them: rapid, which can shrink what it finds, a seeded
// generator, or the bytes of a fuzzer.
type dice func(n int) int

func rapidDice(t *rapid.T) dice {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "dice") }
}

func seededDice(seed uint64) dice {
	r := rand.New(rand.NewPCG(seed, seed))
	return r.IntN
}

// bytesDice throws what the bytes say, and zeros when they are used up.
func bytesDice(b *[]byte) dice {
	return func(n int) int {
		if len(*b) == 0 {
			return 0
		}
		v := int((*b)[0])
		*b = (*b)[1:]
		return v % n
	}
}

func pick[T any](d dice, from ...T) T { return from[d(len(from))] }

// rarely is true once in n throws.
func (d dice) rarely(n int) bool { return d(n) == n-1 }

// Few names, so that commands meet: parents and children, conflicts and repeats.
const (
	defaultRegistry = "tes-registry-v1"
	clusterID       = "00112233445566778899aabbccddeeff"
)

func (d dice) registry() string {
	return pick(d, defaultRegistry, defaultRegistry, defaultRegistry, "other", "third")
}

func (d dice) id() string {
	return pick(d, "global:main", "a", "b", "c/d", "c:e", "z")
}

// living mostly names an entity that exists.
func (d dice) living(view fsm.View, registry string) string {
	var ids []string
	if r, ok := view.Registry(registry); ok && !d.rarely(6) {
		for e := range r.Entities("") {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return d.id()
	}
	return pick(d, ids...)
}

func (d dice) version() string {
	return pick(d, "1.0.0", "1.0", "2.1.02", "v1.2.3", "1.2.3-rc.1", "2.0.0-beta.2", "0.0.1+build.7", "3",
		fmt.Sprintf("0.0.%d", int64(math.MaxInt64)), "1.2.x", "")
}

func (d dice) entity(view fsm.View, registry string) fsm.Entity {
	e := fsm.Entity{
		ID: d.id(), CurrentVersion: d.version(), UpdateStrategy: fsm.LinkedToParent,
		Type:        pick(d, fsm.TypeComponent, fsm.TypeGlobal, fsm.TypeAPIScope, fsm.TypeCLITool, fsm.TypeDocumentation),
		DisplayName: pick(d, "A name", "\"Ünïcode\" \\ <&>\t\u2028"),
	}
	switch d(8) {
	case 0, 1:
		e.UpdateStrategy = fsm.Independent
	case 2:
		e.UpdateStrategy, e.ParentVersionID = fsm.Independent, d.id()
	case 3: // a linked entity without a parent
	default:
		e.ParentVersionID = d.living(view, registry)
	}
	if r, ok := view.Registry(registry); ok && !d.rarely(4) {
		if old, ok := r.Entity(e.ID); ok {
			e.CurrentVersion = old.CurrentVersion
		}
	}
	if d.rarely(4) {
		e.DisplayInUI, e.Description = true, "text"
		e.APIEndpointPrefix, e.CLICommandName = pick(d, "", "/api"), pick(d, "", "tool")
		e.Files = []fsm.File{{Path: "package.json", Pattern: `"(\d+)"`, Replacement: "$1", Required: d.rarely(2)}}
	}
	if d.rarely(40) {
		*pick(d, &e.ID, &e.ParentVersionID, &e.DisplayName) = pick(d, "a//b", "\xff", "..", "")
	}
	return e
}

func (d dice) bump(view fsm.View, registry string) fsm.Bump {
	b := fsm.Bump{Scope: pick(d, fsm.Patch, fsm.Minor, fsm.Major), EntityID: d.living(view, registry), Cascade: !d.rarely(5)}
	if d.rarely(8) {
		b.EntityID = ""
	}
	if d.rarely(5) {
		b.ExpectedVersion = d.version()
		if r, ok := view.Registry(registry); ok && !d.rarely(4) {
			e, _ := r.Entity(b.EntityID)
			b.ExpectedVersion = e.CurrentVersion
		}
	}
	if d.rarely(6) {
		b.Reason = "because"
	}
	if d.rarely(60) {
		b.Scope = 0
	}
	return b
}

// command makes a command that often makes sense in the state that it will meet.
func (d dice) command(view fsm.View) fsm.Command {
	c := fsm.Command{Registry: d.registry(), Actor: pick(d, "anonymous", "ci")}
	if !view.Founded() && !d.rarely(4) || d.rarely(60) {
		return fsm.Command{Op: fsm.Genesis{ClusterID: clusterID, RegistryID: defaultRegistry, KeyID: "0123456789abcdef",
			Key: []byte("a key of the cluster's own making"), HistoryKeep: pick(d, uint64(0), 2, 10)}}
	}
	if d.rarely(3) {
		c.Key = fmt.Sprintf("key %d", d(20))
	}
	if d.rarely(8) {
		var at uint64
		if r, ok := view.Registry(c.Registry); ok {
			at = r.Revision()
		}
		at += pick(d, uint64(0), 0, 0, 1)
		c.IfMatch = &at
	}
	if d.rarely(60) {
		*pick(d, &c.Registry, &c.Key, &c.Actor) = pick(d, "-x", "\x7f", "ünï")
	}
	c.Op = d.op(view, c.Registry)
	return c
}

func (d dice) op(view fsm.View, registry string) fsm.Op {
	switch d(20) {
	case 0, 1, 2:
		b := fsm.Batch{Requests: make([]fsm.Bump, d(4))}
		for i := range b.Requests {
			b.Requests[i] = d.bump(view, registry)
		}
		return b
	case 3, 4, 5, 6, 7, 8:
		return fsm.Put{Entity: d.entity(view, registry), CreateOnly: d.rarely(5)}
	case 9, 10:
		return fsm.Delete{EntityID: d.living(view, registry)}
	case 11:
		m := fsm.Migrate{Source: "test", Entities: make([]fsm.Entity, d(4))}
		for i := range m.Entities {
			m.Entities[i] = d.entity(view, registry)
		}
		return m
	case 12:
		return fsm.Lead{Node: "n1", Term: uint64(d(5))}
	}
	return d.bump(view, registry)
}

// pause is how many milliseconds pass before an entry: often none, sometimes back.
func (d dice) pause() int64 {
	const minute = 60 * 1000
	return pick(d, int64(0), 0, 0, 0, 1, 999, 10*minute, 366*24*60*minute, -5*minute)
}

// step is an entry of one command, or with a nil Op one of none, as when only time
// passes.
type step struct {
	stamp   int64
	command fsm.Command
}

func (s step) entry() fsm.Entry {
	if s.command.Op == nil {
		return fsm.Entry{Stamp: s.stamp}
	}
	return fsm.Entry{Stamp: s.stamp, Commands: []fsm.Command{s.command}}
}

// runLog makes a log of about n commands and applies each in an entry of its own.
// after is called with each step, the view before it, and its result.
func (d dice) runLog(m *fsm.Machine, n int, after func(step, fsm.View, fsm.Result)) {
	stamp, index := int64(1_700_000_000_000), m.View().Index()
	take := func(s step, before fsm.View) {
		index++
		results := append(m.Apply(index, s.entry()), fsm.Result{})
		after(s, before, results[0])
	}
	var keyed []fsm.Command
	for range n {
		if d.rarely(100) { // a day goes by, in steps that the age clock believes
			for range 6 * 24 {
				stamp += 10 * 60 * 1000
				take(step{stamp: stamp}, m.View())
			}
		}
		stamp += d.pause()
		before := m.View()
		c := d.command(before)
		if len(keyed) > 0 && d.rarely(4) {
			c = pick(d, keyed...)
		} else if c.Key != "" {
			keyed = append(keyed, c)
		}
		take(step{stamp, c}, before)
	}
}
