package recovery_test

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/lan"
	"github.com/tesd/tesd/internal/recovery"
)

// namespaces is set once, by the command line.
var namespaces = flag.Bool("recovery.namespaces", false,
	"the tests run as root on Linux: measure partitions of processes, too")

// separate is a cluster of processes with machines of their own, and a user on another.
type separate struct {
	*processes
	lan *lan.LAN
}

// newSeparate starts a cluster of three whose network can be cut.
func newSeparate(t *testing.T) *separate {
	binary, err := e2e.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := lan.Start(4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	c := e2e.Options{LAN: l}.New(t, binary)
	// A connection for each request: none is stuck in a cut.
	alone := &http.Client{Transport: &http.Transport{DialContext: c.DialUser, DisableKeepAlives: true}}
	s := &separate{&processes{c, t, alone}, l}
	s.migrate()
	return s
}

// cut has no packets pass from and to nodes, until it is ended: they are lost, and nobody is told.
func (s *separate) cut(nodes ...*e2e.Node) *lan.Impaired {
	var here []*lan.Machine
	for _, n := range nodes {
		here = append(here, n.Machine)
	}
	there := slices.DeleteFunc(slices.Clone(s.lan.Machines), func(m *lan.Machine) bool { return slices.Contains(here, m) })
	return s.lan.Impair(lan.Impairment{Cut: true}, slices.Concat(lan.Ways(here, here), lan.Ways(here, there), lan.Ways(there, here))...)
}

// measureNamespaces measures partitions of processes.
func measureNamespaces(t *testing.T) []*recovery.Row {
	s := newSeparate(t)
	var rows []*recovery.Row
	for _, cut := range []struct {
		lasts  time.Duration
		rounds int
	}{{3 * time.Second, *rounds}, {20 * time.Second, max(*rounds/5, 1)}} {
		lost := &recovery.Row{Name: fmt.Sprintf("the leader is cut off for %v: writes again through the others", cut.lasts), Median: writesMedian, Worst: writesWorst}
		writes := &recovery.Row{Name: "  healed: writes through it", Worst: healedWorst}
		ready := &recovery.Row{Name: "  healed: all ready", Worst: healedWorst}
		apart := &recovery.Row{Name: fmt.Sprintf("all are cut off for %v, healed: writes again", cut.lasts), Worst: healedWorst}
		for range cut.rounds {
			l, w, r := s.cutLeader(cut.lasts)
			lost.Times, writes.Times, ready.Times = append(lost.Times, l), append(writes.Times, w), append(ready.Times, r)
			apart.Times = append(apart.Times, s.cutAll(cut.lasts))
		}
		rows = append(rows, lost, writes, ready, apart)
	}
	s.settle()
	return rows
}

// cutLeader returns how long nobody could write after the leader was cut off; and after the cut had
// ended, until a write through it was acknowledged, and all were ready.
func (s *separate) cutLeader(lasts time.Duration) (lost, writes, ready time.Duration) {
	leader := s.settle()
	w := s.write(leader)
	moment := time.Now()
	cut := s.cut(leader)
	lost = again(s.t, w, moment)
	w.End()
	<-time.After(time.Until(moment.Add(lasts)))
	cut.End()
	moment = time.Now()
	w = s.writer(leader)
	defer w.End()
	ready = s.ready(moment, s.Nodes...)
	return lost, again(s.t, w, moment), ready // it knows when it was answered, also later
}

// cutAll returns how long it takes after all were cut off from each other until a write
// through any is acknowledged.
func (s *separate) cutAll(lasts time.Duration) time.Duration {
	s.settle()
	cut := s.cut(s.Nodes...)
	<-time.After(lasts)
	cut.End()
	moment := time.Now()
	w := s.writer(s.Nodes...)
	defer w.End()
	return again(s.t, w, moment)
}
