package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/powerloss"
)

// Faults of power.
const (
	unpowered    = "fault: power lost"
	unpoweredAll = "fault: power lost by all"
)

// power is what the nodes of a cluster run on: each has a disk that loses with it what was not synced.
type power struct {
	*tormented
	disks map[string]*powerloss.Disk // by node

	mu  sync.Mutex
	rng *rand.Rand
}

// canLosePower reports whether there are such disks here, and says why not.
func canLosePower(t *testing.T) bool {
	disk, err := powerloss.New(t.TempDir())
	if errors.Is(err, powerloss.ErrUnavailable) {
		t.Logf("power is not lost in this run: %v", err)
		return false
	}
	if err == nil {
		err = disk.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// empower has a cluster begin anew, on such disks. Nothing of it that was may be needed any more.
func empower(s *tormented, seed uint64) *power {
	s.t.Helper()
	p := &power{tormented: s, disks: make(map[string]*powerloss.Disk), rng: rand.New(rand.NewPCG(seed, 10))}
	dir := s.t.TempDir()
	s.t.Cleanup(p.end)
	for _, n := range s.Nodes {
		at := filepath.Join(dir, n.ID)
		if err := os.Mkdir(at, 0o700); err != nil {
			s.t.Fatal(err)
		}
		disk, err := powerloss.New(at)
		if err != nil {
			s.t.Fatal(err)
		}
		p.disks[n.ID] = disk
	}
	s.Kill(s.Nodes...)
	for _, n := range s.Nodes {
		n.DataDir = filepath.Join(dir, n.ID, "data")
		s.Start(n)
	}
	s.Ready()
	return p
}

// end ends the disks, and what still runs on them.
func (p *power) end() {
	for _, n := range p.Nodes {
		disk := p.disks[n.ID]
		if disk == nil {
			continue
		}
		disk.Release()
		if p.Process(n) != nil {
			p.Kill(n)
		}
		if err := disk.Close(); err != nil {
			p.t.Error(err)
		}
	}
}

// lose has nodes lose their power while a sync of each is under way, if there is one: with it what is
// not synced, which it may have lost or not. It bit if something was.
func (p *power) lose(nodes ...*e2e.Node) (bit bool, err error) {
	const wait, most = time.Second, 5 * time.Second
	var held []<-chan struct{}
	for _, n := range nodes {
		held = append(held, p.disks[n.ID].Hold(p.draw(8), most))
	}
	patience, cancel := context.WithTimeout(p.t.Context(), wait) // who waits for others may sync nothing
	defer cancel()
	for _, h := range held {
		select {
		case <-h:
		case <-patience.Done():
		}
	}
	<-time.After(time.Duration(p.draw(30)) * time.Millisecond) // others write while one syncs
	loss, err := p.cut(true, nodes...)
	return loss.Any(), err
}

// cut cuts the power off. Of what is not synced the disks keep nothing, or what chance says.
func (p *power) cut(chance bool, nodes ...*e2e.Node) (sum powerloss.Loss, err error) {
	for _, n := range nodes {
		_ = p.Process(n).Signal(os.Kill) // an error is that it has ended
	}
	for _, n := range nodes {
		p.disks[n.ID].Cut() // or it does not end while it syncs
	}
	p.Kill(nodes...)
	for _, n := range nodes {
		var rng *rand.Rand
		if chance {
			rng = rand.New(rand.NewPCG(uint64(p.draw(1<<30)), 11))
		}
		l, err := p.disks[n.ID].Lose(rng)
		if err != nil {
			return sum, fmt.Errorf("%s: %w", n.ID, err)
		}
		sum.Add(l)
	}
	p.w.Count("sectors lost", sum.Sectors)
	p.w.Count("sectors kept", sum.Kept)
	p.w.Count("names lost", sum.Names)
	return sum, nil
}

func (p *power) draw(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(n)
}
