package recovery_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/recovery"
)

// namespaces is set once, by the command line.
var namespaces = flag.Bool("recovery.namespaces", false,
	"the tests run in a network and mount namespace of their own, as root: measure partitions of processes, too")

// machine is a node with a network interface of its own, which a bridge connects to the others
// and to the tests.
type machine struct {
	id, url, link string
	process       *exec.Cmd
}

// bridged is a cluster of such nodes.
type bridged struct {
	t        *testing.T
	machines []*machine
	http     *http.Client // makes a connection for each request: none is stuck in a cut
}

// ip configures the network of the namespace that the tests run in.
func ip(t *testing.T, command string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(command, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

// newBridged starts a cluster of three whose network can be cut.
func newBridged(t *testing.T) *bridged {
	binary, err := e2e.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Flags&net.FlagLoopback == 0 && l.Flags&net.FlagUp != 0 {
			t.Fatalf("there is %s: this needs a network namespace of its own, as scripts/chaos makes one", l.Name)
		}
	}
	ip(t, "link add br0 type bridge")
	ip(t, "addr add 10.9.0.254/24 dev br0")
	ip(t, "link set br0 up")
	b := &bridged{t: t, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	var peers []string
	for i := range 3 {
		m := &machine{id: fmt.Sprintf("n%d", i+1), url: fmt.Sprintf("http://10.9.0.%d:8001", i+1), link: fmt.Sprintf("v%d", i+1)}
		ip(t, "netns add %s", m.id)
		ip(t, "link add %s type veth peer name eth0 netns %s", m.link, m.id)
		ip(t, "link set %s master br0 up", m.link)
		ip(t, "-n %s addr add 10.9.0.%d/24 dev eth0", m.id, i+1)
		ip(t, "-n %s link set eth0 up", m.id)
		ip(t, "-n %s link set lo up", m.id)
		b.machines = append(b.machines, m)
		peers = append(peers, fmt.Sprintf("%s=10.9.0.%d:9001", m.id, i+1))
	}
	t.Cleanup(b.end)
	dir := t.TempDir()
	for i, m := range b.machines {
		m.process = exec.Command("ip", "netns", "exec", m.id, binary, "serve", "--insecure", "--node-id", m.id,
			"--data-dir", filepath.Join(dir, m.id), "--http", fmt.Sprintf("10.9.0.%d:8001", i+1),
			"--raft", fmt.Sprintf("10.9.0.%d:9001", i+1), "--peers", strings.Join(peers, ","))
		log, err := os.Create(filepath.Join(dir, m.id+".log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close() // the process has its own
		m.process.Stdout, m.process.Stderr = log, log
		if err := m.process.Start(); err != nil {
			t.Fatal(err)
		}
	}
	b.ready(time.Now(), b.machines...)
	_, err = b.client(b.machines...).Migrate(t.Context(), client.MigrateRequest{Source: "test", Entities: []client.Entity{{
		ID: "global:hot", Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", Files: []client.File{}, DisplayName: "Hot",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// end kills what runs; the namespaces end with the tests' own.
func (b *bridged) end() {
	for _, m := range b.machines {
		if m.process != nil && m.process.Process != nil {
			m.process.Process.Kill()
			m.process.Wait()
		}
	}
}

// cut has the bridge pass nothing from and to machines: packets are lost, and nobody is told.
func (b *bridged) cut(machines ...*machine) {
	for _, m := range machines {
		ip(b.t, "link set %s nomaster", m.link)
	}
}

// heal undoes cut.
func (b *bridged) heal(machines ...*machine) {
	for _, m := range machines {
		ip(b.t, "link set %s master br0", m.link)
	}
}

func (b *bridged) client(machines ...*machine) *client.Client {
	b.t.Helper()
	var urls []string
	for _, m := range machines {
		urls = append(urls, m.url)
	}
	c, err := client.New(urls, client.WithHTTPClient(b.http))
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// settle waits until all are ready and one has led for a while, and returns it and the others.
func (b *bridged) settle() (leader *machine, others []*machine) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		b.ready(time.Now(), b.machines...)
		was := leader
		leader, others = nil, nil
		for _, m := range b.machines {
			if h, err := b.client(m).Health(b.t.Context()); err == nil && h.Role == "leader" {
				leader = m
			} else {
				others = append(others, m)
			}
		}
		if leader != nil && leader == was {
			return leader, others
		}
		<-time.After(time.Second)
	}
	b.t.Fatal("there is no lasting leader")
	return nil, nil
}

// ready waits until machines are ready, and returns how long after a moment all were.
func (b *bridged) ready(moment time.Time, machines ...*machine) time.Duration {
	b.t.Helper()
	for _, m := range machines {
		for !b.isReady(m) {
			if <-time.After(2 * time.Millisecond); time.Since(moment) > patience {
				b.t.Fatalf("%s was not ready in %v", m.id, patience)
			}
		}
	}
	return time.Since(moment)
}

// isReady asks once, and not for long: a first packet that is lost is sent again after a second.
func (b *bridged) isReady(m *machine) bool {
	ctx, cancel := context.WithTimeout(b.t.Context(), 100*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/readyz", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return send(b.http, req) == nil
}

// write starts a writer that takes machines in turn.
func (b *bridged) write(machines ...*machine) *recovery.Writer {
	w := recovery.Start(every, timeout, func(ctx context.Context, n int) error { return bump(ctx, b.http, machines[n%len(machines)].url) })
	b.t.Cleanup(w.End)
	return w
}

// measureNamespaces measures partitions of processes.
func measureNamespaces(t *testing.T) []*recovery.Row {
	b := newBridged(t)
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
			l, w, r := b.cutLeader(cut.lasts)
			lost.Times, writes.Times, ready.Times = append(lost.Times, l), append(writes.Times, w), append(ready.Times, r)
			apart.Times = append(apart.Times, b.cutAll(cut.lasts))
		}
		rows = append(rows, lost, writes, ready, apart)
	}
	b.settle()
	return rows
}

// cutLeader returns how long nobody could write after the leader was cut off; and after the cut had
// ended, until a write through it was acknowledged, and all were ready.
func (b *bridged) cutLeader(lasts time.Duration) (lost, writes, ready time.Duration) {
	leader, others := b.settle()
	w := b.write(others...)
	again(b.t, w, time.Now())
	<-time.After(200 * time.Millisecond)
	moment := time.Now()
	b.cut(leader)
	lost = again(b.t, w, moment)
	w.End()
	<-time.After(time.Until(moment.Add(lasts)))
	b.heal(leader)
	moment = time.Now()
	w = b.write(leader)
	defer w.End()
	ready = b.ready(moment, b.machines...)
	return lost, again(b.t, w, moment), ready // it knows when it was answered, also later
}

// cutAll returns how long it takes after all were cut off from each other until a write
// through any is acknowledged.
func (b *bridged) cutAll(lasts time.Duration) time.Duration {
	b.settle()
	b.cut(b.machines...)
	<-time.After(lasts)
	b.heal(b.machines...)
	moment := time.Now()
	w := b.write(b.machines...)
	defer w.End()
	return again(b.t, w, moment)
}
