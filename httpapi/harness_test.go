package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
	"github.com/tesd/tesd/internal/apicheck"
	"github.com/tesd/tesd/internal/solo"
)

const (
	defaultRegistry = "tes-registry-v1"
	clusterID       = "00112233445566778899aabbccddeeff"
	firstStamp      = 1763900000000
)

// signingKey signs the receipts of the fake node.
func signingKey() []byte { return []byte("a signing key of at least 32 bytes.") }

// fakeNode is a node without a log that notes what it is asked, and fails as it is told.
type fakeNode struct {
	*solo.Node

	mu        sync.Mutex
	stamp     int64
	frozen    bool // the clock stands still, so that refusals leave the very same state
	status    cluster.Status
	members   []cluster.Member
	checks    []cluster.Check
	reads     []cluster.ReadOptions
	proposals int
	deadline  time.Duration // of the last read or proposal

	changes []string // of the membership

	proposeErr, readErr, signErr, changeErr error // what the calls fail with
	answer                                  *fsm.Result
	proposing                               func(context.Context) // what Propose does first, if not nil
	panics                                  any                   // what Read panics with
}

func newFakeNode(keep uint64) *fakeNode {
	n := &fakeNode{
		stamp: firstStamp,
		status: cluster.Status{
			NodeID: "n1", HTTPAddress: "127.0.0.1:8001", ClusterID: clusterID, Role: cluster.Leader, Leader: "n1",
			Term: 2, CommitIndex: 5, AppliedIndex: 5, StateHash: "abcd",
		},
		checks: []cluster.Check{{Name: "leader", OK: true}, {Name: "applied", OK: true}},
	}
	n.Node = solo.New(solo.Config{
		ClusterID: clusterID, Registry: defaultRegistry, HistoryKeep: keep, Key: signingKey(), Now: n.tick,
	})
	return n
}

// newUnfoundedNode makes a node whose cluster has not been founded.
func newUnfoundedNode() *fakeNode {
	return &fakeNode{Node: solo.New(solo.Config{Now: time.Now}), status: cluster.Status{NodeID: "n1", Role: cluster.Nonvoter}}
}

// tick is the clock of the transactions.
func (n *fakeNode) tick() time.Time {
	if !n.frozen {
		n.stamp += 1000
	}
	return time.UnixMilli(n.stamp)
}

func (n *fakeNode) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if n.proposing != nil {
		n.proposing(ctx)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.note(ctx)
	n.proposals++
	if n.proposeErr != nil {
		return fsm.Result{}, n.proposeErr
	}
	if n.answer != nil {
		return *n.answer, nil
	}
	return n.Node.Propose(ctx, c)
}

func (n *fakeNode) Read(ctx context.Context, o cluster.ReadOptions) (fsm.View, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.note(ctx)
	n.reads = append(n.reads, o)
	if n.panics != nil {
		panic(n.panics)
	}
	return n.View(), n.readErr // a revision to come is not waited for
}

func (n *fakeNode) note(ctx context.Context) {
	end, _ := ctx.Deadline()
	n.deadline = time.Until(end)
}

func (n *fakeNode) Sign(payload []byte) (string, error) {
	signature, _ := n.Node.Sign(payload) // never fails
	return signature, n.signErr
}

func (n *fakeNode) Status() cluster.Status                   { return n.status }
func (n *fakeNode) Leader() string                           { return n.status.Leader }
func (n *fakeNode) TakesWrites() bool                        { return !n.status.StorageFull && !n.status.Diverged }
func (n *fakeNode) Members(context.Context) []cluster.Member { return n.members }

func (n *fakeNode) Ready() []cluster.Check {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.checks
}

// set changes what the node says while it is asked.
func (n *fakeNode) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *fakeNode) AddNode(ctx context.Context, id, address string, replace bool) error {
	n.note(ctx)
	n.changes = append(n.changes, fmt.Sprintf("add %s=%s %v", id, address, replace))
	return n.changeErr
}

func (n *fakeNode) RemoveNode(ctx context.Context, id string) error {
	n.note(ctx)
	n.changes = append(n.changes, "remove "+id)
	return n.changeErr
}

func (n *fakeNode) TransferLeadership(ctx context.Context, id string) error {
	n.note(ctx)
	n.changes = append(n.changes, "transfer "+id)
	return n.changeErr
}

// logged is one line of the log.
type logged struct {
	level, message string
	fields         map[string]any
}

// recorder is a log that keeps its lines.
type recorder struct {
	mu    sync.Mutex
	lines []logged
}

func (l *recorder) add(level, message string, args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fields := make(map[string]any)
	for i := 0; i+1 < len(args); i += 2 {
		fields[args[i].(string)] = args[i+1]
	}
	l.lines = append(l.lines, logged{level, message, fields})
}

func (l *recorder) IsInfo() bool                { return true }
func (l *recorder) Info(m string, args ...any)  { l.add("info", m, args) }
func (l *recorder) Warn(m string, args ...any)  { l.add("warn", m, args) }
func (l *recorder) Error(m string, args ...any) { l.add("error", m, args) }

// take returns the lines so far and forgets them.
func (l *recorder) take() []logged {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// harness is a server over a fake node, behind real HTTP.
type harness struct {
	t      *testing.T
	node   *fakeNode
	log    *recorder
	server *httpapi.Server
	now    time.Time
	url    string
	http   *http.Client
}

// start starts a server whose registry has the entities of [example].
func start(t *testing.T) *harness {
	t.Helper()
	h := startEmpty(t, newFakeNode(0))
	h.migrate("", example())
	h.log.take()
	return h
}

func startEmpty(t *testing.T, node *fakeNode) *harness {
	t.Helper()
	return startWith(t, node, func(*httpapi.Config) {})
}

// startWith starts a server whose configuration is changed before.
func startWith(t *testing.T, node *fakeNode, configure func(*httpapi.Config)) *harness {
	t.Helper()
	h := &harness{t: t, node: node, log: &recorder{}, now: time.UnixMilli(firstStamp + 5000)}
	var requests atomic.Int64
	cfg := httpapi.Config{
		Node: node, DefaultRegistry: defaultRegistry, AlarmTimeout: 5 * time.Minute, Log: h.log, MaxConnections: 100,
		Now:          func() time.Time { return h.now },
		NewRequestID: func() string { return fmt.Sprintf("r%d", requests.Add(1)) },
	}
	configure(&cfg)
	var err error
	if h.server, err = httpapi.New(cfg); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(h.server.Handler())
	web.Listener, web.Config.ConnContext = httpapi.Listener(web.Listener), httpapi.ConnContext // as a node has it
	web.Start()
	t.Cleanup(web.Close)
	t.Cleanup(h.server.Close)
	h.url = web.URL
	h.http = web.Client()
	described, err := document()
	if err != nil {
		t.Fatal(err)
	}
	h.http.Transport = &apicheck.Transport{
		Base: h.http.Transport, Document: described, Report: func(err error) { h.t.Helper(); h.t.Error(err) },
	}
	h.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return h
}

// document is what a server says of itself. It is read once: the schemas take a while.
//
// immutable: nothing writes to it.
var document = sync.OnceValues(func() (*apicheck.Document, error) {
	s, err := httpapi.New(httpapi.Config{
		Node: newFakeNode(0), DefaultRegistry: defaultRegistry, AlarmTimeout: time.Minute, Log: &recorder{},
	})
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	return apicheck.Parse(w.Body.Bytes())
})

// example is a small registry with all that matters: a chain, an independent branch,
// and an id with a slash.
func example() string {
	return `[
	{"id":"global:main","type":"global","currentVersion":"1.0","updateStrategy":"independent","files":[],"displayInUi":true,"displayName":"Main"},
	{"id":"component:shop","type":"component","currentVersion":"1.2.3","updateStrategy":"linked-to-parent","parentVersionId":"global:main",
	 "files":[{"path":"package.json","pattern":"\"version\": \"([^\"]+)\"","replacement":"\"version\": \"$1\"","description":"npm <&>","required":true}],
	 "displayInUi":false,"displayName":"Shop","description":"Where things are Sold"},
	{"id":"@babel/core","type":"documentation","currentVersion":"v7.0.0-rc.1","updateStrategy":"independent","parentVersionId":"component:shop",
	 "files":[],"displayInUi":false,"displayName":"Babel"},
	{"id":"api:full","type":"api-scope","currentVersion":"1.2.9223372036854775807","updateStrategy":"independent","parentVersionId":"global:main",
	 "files":[],"displayInUi":false,"displayName":"Full","apiEndpointPrefix":"/api"}]`
}

func (h *harness) migrate(prefix, entities string) {
	h.t.Helper()
	r := h.post(prefix+"/version/migrate", `{"source":"test","entities":`+entities+`}`)
	if r.status != 200 {
		h.t.Fatalf("migrate: status %d: %s", r.status, r.body)
	}
}

// reply is what came back.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do sends a request. headers are lines of "Name: value".
func (h *harness) do(method, path, body string, headers ...string) *reply {
	h.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, in)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.send(req, headers)
}

func (h *harness) send(req *http.Request, headers []string) *reply {
	h.t.Helper()
	if req.Method == http.MethodPost || req.Method == http.MethodPut {
		req.Header.Set("Content-Type", "application/json")
	}
	fresh := make(map[string]bool)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if !fresh[name] {
			req.Header.Del(name)
		}
		fresh[name] = true
		if value != "" {
			req.Header.Add(name, value)
		}
	}
	resp, err := h.http.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return &reply{h.t, resp.StatusCode, resp.Header, string(got)}
}

func (h *harness) get(path string, headers ...string) *reply {
	h.t.Helper()
	return h.do("GET", path, "", headers...)
}

func (h *harness) post(path, body string, headers ...string) *reply {
	h.t.Helper()
	return h.do("POST", path, body, headers...)
}

// decodeAs reads a reply that is a success, strictly.
func decodeAs[T any](r *reply) T {
	r.t.Helper()
	var v T
	if r.status != 200 {
		r.t.Fatalf("status %d: %s", r.status, r.body)
	}
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		r.t.Fatalf("decoding %s: %v", r.body, err)
	}
	return v
}

// failure reads a reply that is none.
func (r *reply) failure() client.ErrorBody {
	r.t.Helper()
	var v client.ErrorResponse
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		r.t.Fatalf("status %d, body is no error: %q: %v", r.status, r.body, err)
	}
	return v.Error
}

// wantFailure holds a reply against a status and a code.
func (r *reply) wantFailure(status int, code client.Code) client.ErrorBody {
	r.t.Helper()
	e := r.failure()
	if r.status != status || e.Code != code {
		r.t.Errorf("got %d %s (%s), want %d %s", r.status, e.Code, e.Message, status, code)
	}
	return e
}

// stateHash is the hash of what all nodes agree on.
func (h *harness) stateHash() fsm.Hash { return h.node.View().StateHash() }
