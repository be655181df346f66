package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gometrics "github.com/armon/go-metrics"
	"github.com/tesd/tesd/client"
)

// timer fires once the log must have been written.
func timer(t *testing.T) <-chan time.Time {
	t.Helper()
	return time.After(logFlushEvery)
}

// transcript is what a command writes while it runs.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed by the next write
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until what was written matches, and returns the match and its groups.
func (s *transcript) await(t *testing.T, pattern string) []string {
	t.Helper()
	expr := regexp.MustCompile(pattern)
	deadline := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		found, changed := expr.FindStringSubmatch(s.text.String()), s.changed
		s.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s was never written, only:\n%s", pattern, s)
		}
	}
}

// running is a command that runs until it is stopped.
type running struct {
	out, log *transcript
	cancel   context.CancelFunc
	code     chan int
}

func start(t *testing.T, env []string, args ...string) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{out: newTranscript(), log: newTranscript(), cancel: cancel, code: make(chan int, 1)}
	var group sync.WaitGroup
	group.Go(func() { r.code <- run(ctx, args, env, strings.NewReader(""), r.out, r.log) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return r
}

// stop ends the command and returns its exit code.
func (r *running) stop() int {
	r.cancel()
	return <-r.code
}

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// tesd runs a command to its end, and fails the test unless it exits with 0.
func tesd(t *testing.T, env []string, args ...string) (stdout string) {
	t.Helper()
	var out, log bytes.Buffer
	if code := run(t.Context(), args, env, strings.NewReader(""), &out, &log); code != exitDone {
		t.Fatalf("tesd %s exited with %d:\n%s", strings.Join(args, " "), code, &log)
	}
	return out.String()
}

// entities reads how many entities the node at address has, once it has any.
func entities(t *testing.T, address string) int {
	t.Helper()
	c, err := client.New([]string{"http://" + address})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Registry(t.Context(), client.RegistryOptions{}, client.MinRevision(1))
	if err != nil {
		t.Fatal(err)
	}
	return len(resp.Entities)
}

// fetch reads what is at a URL.
func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", url, resp.StatusCode, err)
	}
	return string(body)
}

// TestServe runs a cluster of one: it starts with the registry of a file, tells what is
// not safe, stops in good order, and then starts without the file.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "registry.json")
	if err := os.WriteFile(file, exampleRegistry, 0o600); err != nil {
		t.Fatal(err)
	}
	raft := freeAddress(t)
	args := func(dataDir, http string) []string {
		return []string{"serve", "--node-id", "n1", "--data-dir", filepath.Join(dir, dataDir), "--http", http,
			"--raft", raft, "--peers", "n1=" + raft, "--registry-file", file}
	}

	first := start(t, []string{"VERSION_SIGNING_KEY=short"}, args("data", "127.0.0.1:0")...)
	address := first.log.await(t, `"@message":"serving".*"http":"([^"]+)"`)[1]
	first.log.await(t, `there is no access control`)
	first.log.await(t, `the signing key is short.*"bytes":5`)
	if got := entities(t, address); got != 24 {
		t.Errorf("the cluster starts with %d entities, want 24", got)
	}

	gometrics.AddSample([]string{"raft", "net", "rpcDecode"}, 1) // as with other nodes
	metrics := fetch(t, "http://"+address+"/metrics")
	for _, want := range []string{"tesd_leader 1", `tesd_build_info{go_version="go`, `raft_commitTime{quantile="0.5"} `, "raft_state_leader "} {
		if !strings.Contains(metrics, "\n"+want) {
			t.Errorf("metrics lack %q:\n%s", want, metrics)
		}
	}
	if strings.Contains(metrics, "raft_boltdb_") || strings.Contains(metrics, "raft_net_") {
		t.Errorf("metrics have what is measured for each entry:\n%s", metrics)
	}

	var log bytes.Buffer
	code := run(t.Context(), args("other", address), nil, strings.NewReader(""), io.Discard, &log)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if last := lines[len(lines)-1]; code != exitFailed || !strings.HasPrefix(last, "tesd: listening on the HTTP port: ") {
		t.Errorf("on a port in use it exited with %d and said at last %q", code, last)
	}
	if code := first.stop(); code != exitDone {
		t.Errorf("it stopped with exit code %d:\n%s", code, first.log)
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	second := start(t, []string{"VERSION_SIGNING_KEY=short"}, args("data", "127.0.0.1:0")...)
	address = second.log.await(t, `"@message":"serving".*"http":"([^"]+)"`)[1]
	if got := entities(t, address); got != 24 {
		t.Errorf("after a restart there are %d entities, want 24", got)
	}
	if code := second.stop(); code != exitDone {
		t.Errorf("it stopped with exit code %d:\n%s", code, second.log)
	}
}

// bookingGuide is an entity of the example registry, above its version of there.
const bookingGuide = `{"id":"docs:booking-guide","type":"documentation","currentVersion":"4.3.1",
	"updateStrategy":"linked-to-parent","parentVersionId":"component:booking-service","files":[],
	"displayInUi":true,"displayName":"Booking Guide"}`

// TestDev tries what dev says that can be tried, and sees that nothing is left behind.
func TestDev(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dev := start(t, []string{"VERSION_SIGNING_KEY=" + fakeKey}, "dev", "--port-base", "0")
	urls := strings.Fields(dev.out.await(t, `three nodes is ready:\n(.*)\n`)[1])
	dev.out.await(t, `tesd bump minor component:booking-service --dry-run --endpoints http://127`)
	if len(urls) != 3 {
		t.Fatalf("dev has the nodes %q, want three", urls)
	}
	file := filepath.Join(t.TempDir(), "guide.json")
	if err := os.WriteFile(file, []byte(bookingGuide), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"TESD_ENDPOINTS=" + strings.Join(urls, ","), "VERSION_SIGNING_KEY=" + fakeKey}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"bump", "minor", "component:booking-service", "--dry-run"}, "│  └─ component:tariff-engine "},
		{[]string{"bump", "minor", "component:booking-service"}, "\nrevision       2\n"},
		{[]string{"get", "component:booking-service"}, "\nversion      4.3.0\n"},
		{[]string{"history"}, "component:booking-service 4.2.0 → 4.3.0 (+4)"},
		{[]string{"verify", "--history"}, "1 to 2, from the very first on\n"},
		{[]string{"status"}, "leader   n"},
		{[]string{"registries"}, "tes-registry-v1  2         24        RUNNING\n"},
		{[]string{"delete", "docs:booking-guide"}, "docs:booking-guide removed at 4.3.0\n"},
		{[]string{"put", file}, "docs:booking-guide created at 4.3.1\n"},
		{[]string{"put", file}, "nothing was changed: docs:booking-guide is like that already\n"},
	} {
		if got := tesd(t, env, c.args...); !strings.Contains(got, c.want) {
			t.Errorf("tesd %s wrote no %q, but:\n%s", strings.Join(c.args, " "), c.want, got)
		}
	}
	if err := os.WriteFile(file, []byte(tesd(t, env, "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tesd(t, env, "diff", file); !strings.HasPrefix(got, "the same; ") {
		t.Errorf("what was exported differs:\n%s", got)
	}
	if code := dev.stop(); code != exitDone {
		t.Errorf("dev stopped with exit code %d", code)
	}
	if got := dev.log.String(); got != "" {
		t.Errorf("dev logged:\n%s", got)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("dev left %v behind (%v)", left, err)
	}
}

// TestDevFailsWhole: a node that cannot start ends the others.
func TestDevFailsWhole(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "n3"), nil, 0o600); err != nil { // where a directory has to be
		t.Fatal(err)
	}
	port := strconv.Itoa(11_000 + os.Getpid()%9_000) // which the system gives to nobody
	dev := start(t, nil, "dev", "--port-base", port, "--data-dir", dir)
	if code := <-dev.code; code != exitFailed || !strings.HasPrefix(dev.log.String(), "tesd: node n3: making the data directory: ") {
		t.Errorf("it exited with %d and said %q", code, dev.log)
	}
}

// TestDevKeepsItsPorts: nodes know each other by their addresses, so data that is kept goes
// with its ports.
func TestDevKeepsItsPorts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "port-base"), []byte("8001"), 0o600); err != nil {
		t.Fatal(err)
	}
	dev := start(t, nil, "dev", "--port-base", "18001", "--data-dir", dir)
	if code := <-dev.code; code != exitFailed || !strings.Contains(dev.log.String(), "--port-base 8001; start it with that one") {
		t.Errorf("it exited with %d and said %q", code, dev.log)
	}
	dev = start(t, nil, "dev", "--port-base", "0", "--data-dir", dir)
	if code := <-dev.code; code != exitUsage {
		t.Errorf("without ports it exited with %d and said %q", code, dev.log)
	}
}
