package e2e_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
)

// load is clients that work until they are stopped.
type load struct {
	done  atomic.Int64 // requests that succeeded
	worst atomic.Int64 // the longest of them, in nanoseconds

	stopping context.CancelFunc
	group    sync.WaitGroup
	began    time.Time
}

// startLoad starts clients that call do, each with its number and how often it has called
// before, until stop. The first failure of each client fails the test and ends it.
func startLoad(t *testing.T, clients int, do func(id, n int) error) *load {
	running, stopping := context.WithCancel(t.Context())
	l := &load{stopping: stopping, began: time.Now()}
	t.Cleanup(l.stop)
	for id := range clients {
		l.group.Go(func() {
			for n := 0; running.Err() == nil; n++ {
				began := time.Now()
				if err := do(id, n); err != nil {
					t.Errorf("request %d of client %d, after %v: %v", n, id, time.Since(began), err)
					return
				}
				l.done.Add(1)
				for took, worst := int64(time.Since(began)), l.worst.Load(); took > worst && !l.worst.CompareAndSwap(worst, took); {
					worst = l.worst.Load()
				}
			}
		})
	}
	return l
}

// stop ends the load and waits for the requests that are under way.
func (l *load) stop() {
	l.stopping()
	l.group.Wait()
}

func (l *load) String() string {
	elapsed := time.Since(l.began).Seconds()
	return strconv.FormatInt(l.done.Load(), 10) + " requests in " + strconv.FormatFloat(elapsed, 'f', 1, 64) + " s, the longest took " +
		time.Duration(l.worst.Load()).Round(time.Millisecond).String()
}

// impatient returns a client of all nodes whose calls fail if they take longer than limit.
func impatient(t *testing.T, c *e2e.Cluster, first int, limit time.Duration) *client.Client {
	t.Helper()
	var endpoints []string
	for i := range c.Nodes {
		endpoints = append(endpoints, c.Nodes[(first+i)%len(c.Nodes)].URL)
	}
	cl, err := client.New(endpoints, client.WithTimeout(limit), client.WithHTTPClient(c.HTTP()))
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

// TestRollingRestart restarts each node in turn, as an upgrade does, under 32 clients that
// read and write. No request fails for good, and none takes three seconds.
func TestRollingRestart(t *testing.T) {
	const clients, limit = 32, 3 * time.Second
	c := hotCluster(t)
	answers := &acknowledged{versions: make(map[string]uint64)}
	var each [clients]*client.Client
	for id := range each {
		each[id] = impatient(t, c, id, limit)
	}
	load := startLoad(t, clients, func(id, n int) error {
		if id%2 == 0 {
			_, err := each[id].Entity(t.Context(), hot)
			return err
		}
		r, err := each[id].Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: hot})
		if err == nil {
			answers.add(t, r, nil)
		}
		return err
	})
	for _, n := range c.Nodes {
		before := load.done.Load()
		if err := c.Stop(n); err != nil {
			t.Errorf("%s stopped with %v", n.ID, err)
		}
		c.Start(n)
		c.Ready()
		c.Wait("no request succeeds after the restart of "+n.ID, 30*time.Second, func() bool { return load.done.Load() > before+clients })
	}
	load.stop()
	t.Logf("%v", load)
	answers.check(t, c)
	c.Status()
}
