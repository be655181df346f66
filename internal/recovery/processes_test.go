package recovery_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/recovery"
)

// processes is a cluster of real processes with default settings.
type processes struct {
	*e2e.Cluster
	t    *testing.T
	http *http.Client
}

// measureProcesses measures what happens to processes.
func measureProcesses(t *testing.T) []*recovery.Row {
	binary, err := e2e.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	p := &processes{e2e.New(t, binary), t, &http.Client{Transport: transport}}
	p.migrate()
	killed := &recovery.Row{Name: "writes again after kill -9 of the leader", Median: writesMedian, Worst: writesWorst}
	back := &recovery.Row{Name: "  that node ready again, from its start"}
	all := &recovery.Row{Name: "all three killed and started: all ready", Worst: readyWorst}
	handed := &recovery.Row{Name: "leadership handed over: longest without a write"}
	failed := 0
	for range *rounds {
		again, ready := p.killLeader()
		killed.Times, back.Times = append(killed.Times, again), append(back.Times, ready)
		all.Times = append(all.Times, p.restartAll())
		pause, lost := p.transfer()
		handed.Times = append(handed.Times, pause)
		failed += lost
	}
	t.Logf("%d writes failed while leadership was handed over", failed)
	rows := []*recovery.Row{killed, back, all, handed}
	if e2e.CanTrace() {
		hung := &recovery.Row{Name: "the leader's disk hangs: writes again through the others", Worst: hungWorst}
		for range *rounds {
			hung.Times = append(hung.Times, p.hangLeader())
		}
		rows = append(rows, hung)
	} else {
		t.Log("there is no strace that may make a disk hang")
	}
	p.Status()
	return rows
}

// migrate makes the registry that is written to.
func (p *processes) migrate() {
	p.t.Helper()
	_, err := p.Client().Migrate(p.t.Context(), client.MigrateRequest{Source: "test", Entities: []client.Entity{{
		ID: "global:hot", Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", Files: []client.File{}, DisplayName: "Hot",
	}}})
	if err != nil {
		p.t.Fatal(err)
	}
}

// settle waits until all nodes are ready and a leader has led for a while.
func (p *processes) settle() (leader *e2e.Node) {
	p.t.Helper()
	for {
		p.Ready()
		leader = p.Leader()
		<-time.After(time.Second)
		if leader == p.Leader() {
			return leader
		}
	}
}

// bump bumps once, through the node at an address, and never again.
func bump(ctx context.Context, c *http.Client, url string) error {
	body := strings.NewReader(`{"scope":"patch","entityId":"global:hot"}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/version/bump", body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return send(c, req)
}

// send returns nil if the answer is 200.
func send(c *http.Client, req *http.Request) error {
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// write starts a writer that takes the nodes other than the leader in turn, once it is answered.
func (p *processes) write(leader *e2e.Node) *recovery.Writer {
	p.t.Helper()
	var others []*e2e.Node
	for _, n := range p.Nodes {
		if n != leader {
			others = append(others, n)
		}
	}
	w := p.writer(others...)
	again(p.t, w, time.Now())
	<-time.After(200 * time.Millisecond)
	return w
}

// writer starts a writer that takes nodes in turn.
func (p *processes) writer(nodes ...*e2e.Node) *recovery.Writer {
	w := recovery.Start(every, timeout, func(ctx context.Context, n int) error { return bump(ctx, p.http, nodes[n%len(nodes)].URL) })
	p.t.Cleanup(w.End)
	return w
}

// again waits until the writer is answered again, and returns how long that took.
func again(t *testing.T, w *recovery.Writer, moment time.Time) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	took, err := w.Again(ctx, moment)
	if err != nil {
		t.Fatalf("no write was acknowledged in %v", patience)
	}
	return took
}

// killLeader returns how long nobody could write after the leader was killed, and how long it took
// until that node was ready again.
func (p *processes) killLeader() (writes, ready time.Duration) {
	leader := p.settle()
	w := p.write(leader)
	defer w.End()
	moment := time.Now()
	p.Kill(leader)
	writes = again(p.t, w, moment)
	moment = time.Now()
	p.Start(leader)
	return writes, p.ready(moment, leader)
}

// hangLeader returns how long nobody could write after a sync of the leader's disk began to hang. The
// node ends for it, and is started again.
func (p *processes) hangLeader() time.Duration {
	leader := p.settle()
	w := p.write(leader)
	defer w.End()
	running := p.Process(leader)
	running.MayFail()
	tracer, err := e2e.Trace(running.PID(), filepath.Join(p.t.TempDir(), "calls"), "fdatasync", "delay_enter=60s")
	if err != nil {
		p.t.Fatal(err)
	}
	took := again(p.t, w, time.Now())
	if err := tracer.End(); err != nil {
		p.t.Fatal(err)
	}
	if code := running.Code(); code != e2e.DiskFailed {
		p.t.Fatalf("the leader ended with exit code %d, not %d", code, e2e.DiskFailed)
	}
	p.Start(leader)
	p.ready(time.Now(), leader)
	return took
}

// restartAll returns how long it took until all nodes were ready, after all had been killed.
func (p *processes) restartAll() time.Duration {
	p.settle()
	p.Kill(p.Nodes...)
	moment := time.Now()
	for _, n := range p.Nodes {
		p.Start(n)
	}
	return p.ready(moment, p.Nodes...)
}

// ready waits until nodes are ready, and returns how long after a moment all were.
func (p *processes) ready(moment time.Time, nodes ...*e2e.Node) time.Duration {
	p.t.Helper()
	for _, n := range nodes {
		for ; !p.isReady(n); <-time.After(2 * time.Millisecond) {
			if time.Since(moment) > patience {
				p.t.Fatalf("%s was not ready in %v", n.ID, patience)
			}
		}
	}
	return time.Since(moment)
}

// isReady asks once, and not for long: a first packet that is lost is sent again after a second.
func (p *processes) isReady(n *e2e.Node) bool {
	ctx, cancel := context.WithTimeout(p.t.Context(), 100*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/readyz", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return send(p.http, req) == nil
}

// transfer returns for how long no write was acknowledged while leadership was handed over, and
// how many failed.
func (p *processes) transfer() (pause time.Duration, failed int) {
	w := p.write(p.settle())
	defer w.End()
	moment := time.Now()
	if _, err := p.Client().TransferLeadership(p.t.Context(), client.TransferRequest{}); err != nil {
		p.t.Fatalf("handing leadership over: %v", err)
	}
	again(p.t, w, time.Now())
	<-time.After(timeout)
	return w.Pause(moment, time.Now())
}
