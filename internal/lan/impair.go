package lan

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// Way is a direction between two machines.
type Way struct{ From, To *Machine }

// Both returns the two ways between machines.
func Both(a, b *Machine) []Way { return []Way{{a, b}, {b, a}} }

// Ways returns all ways from machines to others.
func Ways(from, to []*Machine) (ways []Way) {
	for _, a := range from {
		for _, b := range to {
			if a != b {
				ways = append(ways, Way{a, b})
			}
		}
	}
	return ways
}

// Impairment is what happens to packets. The zero value is nothing.
type Impairment struct {
	Cut       bool          // all are lost, and nobody is told
	Loss      float64       // the fraction that is lost, 0 to 1
	Delay     time.Duration // each is late by so much, and none overtakes another
	Jitter    time.Duration // each is late by up to so much more, by chance; they overtake each other
	Duplicate float64       // the fraction that arrives twice, 0 to 1
}

// Effect counts the packets that an impairment has met.
type Effect struct{ Lost, Delayed, Duplicated uint64 }

// Any reports whether there was an effect at all.
func (e Effect) Any() bool { return e != Effect{} }

// Impaired is an impairment that lasts. Its methods may be called concurrently.
type Impaired struct {
	lan  *LAN
	how  Impairment
	ways []Way

	lost, delayed, duplicated atomic.Uint64
}

// Impair impairs some ways until [Impaired.End] is called, beside what impairs them already: a
// packet is lost if any of its impairments loses it, and late by the sum of their delays.
func (l *LAN) Impair(how Impairment, ways ...Way) *Impaired {
	i := &Impaired{lan: l, how: how, ways: ways}
	l.change(ways, func(all []*Impaired) []*Impaired { return append(all, i) })
	return i
}

// End ends the impairment and returns what it did. Packets that it made late still arrive.
func (i *Impaired) End() Effect {
	i.lan.change(i.ways, func(all []*Impaired) []*Impaired {
		return slices.DeleteFunc(all, func(other *Impaired) bool { return other == i })
	})
	return i.Effect()
}

// Effect returns what the impairment has done so far.
func (i *Impaired) Effect() Effect {
	return Effect{Lost: i.lost.Load(), Delayed: i.delayed.Load(), Duplicated: i.duplicated.Load()}
}

// change changes what impairs some ways.
func (l *LAN) change(ways []Way, f func([]*Impaired) []*Impaired) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range ways {
		k := l.links[w]
		var all []*Impaired
		if was := k.impaired.Load(); was != nil {
			all = slices.Clone(*was) // packets read the old one meanwhile
		}
		all = f(all)
		k.impaired.Store(&all)
	}
}

// link is one way of the switch.
type link struct {
	to       *Machine
	queue    chan packet // the first is due first
	impaired atomic.Pointer[[]*Impaired]
}

// fate is what becomes of a packet.
type fate struct {
	copies        int
	delay, jitter time.Duration
}

// fate decides what becomes of a packet. Each impairment counts what it would have done alone.
func (k *link) fate() fate {
	f, lost := fate{copies: 1}, false
	all := k.impaired.Load()
	if all == nil {
		return f
	}
	for _, i := range *all {
		if i.how.Cut || chance(i.how.Loss) {
			i.lost.Add(1)
			lost = true
		}
		if i.how.Delay > 0 || i.how.Jitter > 0 {
			i.delayed.Add(1)
			f.delay, f.jitter = f.delay+i.how.Delay, f.jitter+i.how.Jitter
		}
		if chance(i.how.Duplicate) {
			i.duplicated.Add(1)
			f.copies++
		}
	}
	if lost {
		f.copies = 0
	}
	return f
}

// chance is true with a probability.
func chance(p float64) bool { return p > 0 && rand.Float64() < p }

// below returns a random duration below d, 0 if that is 0.
func below(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return rand.N(d)
}
