package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
)

const bumpMain = `{"scope":"patch","entityId":"global:main"}`

// TestClusterErrors checks what each failure of the cluster looks like, from a write
// and from a read.
func TestClusterErrors(t *testing.T) {
	h := start(t)
	for _, c := range []struct {
		err     error
		status  int
		code    client.Code
		outcome client.Outcome // of the write
		scope   string
	}{
		{cluster.ErrNoLeader, 503, client.CodeNoLeader, client.OutcomeNotApplied, "CLUSTER"},
		{cluster.ErrStorageFull, 503, client.CodeStorageFull, client.OutcomeNotApplied, "CLUSTER"},
		{fmt.Errorf("%w: it lags", cluster.ErrNotReady), 503, client.CodeNotReady, client.OutcomeNotApplied, "CLUSTER"},
		{cluster.ErrBusy, 429, client.CodeTooManyRequests, client.OutcomeNotApplied, "CLUSTER"},
		{cluster.ErrShuttingDown, 503, client.CodeShuttingDown, client.OutcomeNotApplied, "CLUSTER"},
		{fmt.Errorf("%w: %w", cluster.ErrUnknownOutcome, context.DeadlineExceeded), 504, client.CodeOutcomeUnknown, client.OutcomeUnknown, "CLUSTER"},
		{fmt.Errorf("%w: %w", cluster.ErrUnknownOutcome, cluster.ErrNotReady), 504, client.CodeOutcomeUnknown, client.OutcomeUnknown, "CLUSTER"},
	} {
		h.node.proposeErr, h.node.readErr = c.err, c.err
		check := func(name string, r *reply, outcome client.Outcome) {
			e := r.wantFailure(c.status, c.code)
			if e.Outcome != outcome || e.Context.Scope != c.scope || e.Message != c.err.Error() {
				t.Errorf("%v, %s: error is %+v", c.err, name, e)
			}
			if retry := r.header.Get("Retry-After"); (retry != "") != (c.status != 504) {
				t.Errorf("%v, %s: Retry-After is %q", c.err, name, retry)
			}
		}
		check("bump", h.post("/version/bump", bumpMain), c.outcome)
		check("batch", h.post("/version/batch", `{"requests":[`+bumpMain+`]}`), c.outcome)
		check("migrate", h.post("/registries/x/version/migrate", migrating(entityJSON())), c.outcome)
		check("dry run", h.post("/version/bump", `{"dryRun":true,`+bumpMain[1:]), client.OutcomeNotApplied)
		if c.code == client.CodeOutcomeUnknown || c.code == client.CodeStorageFull {
			continue // no read fails like that
		}
		for _, path := range []string{"/version/registry", "/version/entities/a", "/version/history", "/version/receipts/1"} {
			check(path, h.get(path), client.OutcomeNotApplied)
		}
	}
	for _, local := range []string{"/version/health", "/cluster", "/livez", "/readyz"} {
		if r := h.get(local); r.status != 200 {
			t.Errorf("%s: %d %s", local, r.status, r.body)
		}
	}
}

// TestDeadlineOfARead is NOT_READY, whoever notices that it passed.
func TestDeadlineOfARead(t *testing.T) {
	h := start(t)
	h.node.readErr = fmt.Errorf("waiting for revision 9: %w", context.DeadlineExceeded)
	h.get("/version/registry?min_revision=9").wantFailure(503, client.CodeNotReady)
}

// TestDefects checks that what went wrong inside stays in the log.
func TestDefects(t *testing.T) {
	const secret = "disk sector 7"
	defect := errors.New(secret)
	for name, c := range map[string]struct {
		prepare func(*fakeNode)
		request func(*harness) *reply
		code    client.Code
		outcome client.Outcome
	}{
		"bump": {func(n *fakeNode) { n.proposeErr = defect },
			func(h *harness) *reply { return h.post("/version/bump", bumpMain) }, client.CodeBumpFailed, client.OutcomeUnknown},
		"batch": {func(n *fakeNode) { n.proposeErr = defect },
			func(h *harness) *reply { return h.post("/version/batch", `{"requests":[`+bumpMain+`]}`) }, client.CodeBumpFailed, client.OutcomeUnknown},
		"bump without a transaction": {func(n *fakeNode) { n.answer = &fsm.Result{} },
			func(h *harness) *reply { return h.post("/version/bump", bumpMain) }, client.CodeBumpFailed, client.OutcomeUnknown},
		"dry run": {func(n *fakeNode) { n.readErr = defect },
			func(h *harness) *reply { return h.post("/version/bump", `{"dryRun":true,`+bumpMain[1:]) }, client.CodeBumpFailed, client.OutcomeNotApplied},
		"migrate": {func(n *fakeNode) { n.proposeErr = defect },
			func(h *harness) *reply { return h.post("/version/migrate", migrating(entityJSON())) }, client.CodeInternal, client.OutcomeUnknown},
		"read": {func(n *fakeNode) { n.readErr = defect },
			func(h *harness) *reply { return h.get("/version/registry") }, client.CodeInternal, client.OutcomeNotApplied},
		"history that cannot be signed": {func(n *fakeNode) { n.signErr = defect },
			func(h *harness) *reply { return h.get("/version/history") }, client.CodeInternal, client.OutcomeNotApplied},
		"panic": {func(n *fakeNode) { n.panics = secret },
			func(h *harness) *reply { return h.get("/version/registry") }, client.CodeInternal, client.OutcomeNotApplied},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			c.prepare(h.node)
			r := c.request(h)
			if e := r.wantFailure(500, c.code); e.Outcome != c.outcome || strings.Contains(r.body, secret) {
				t.Errorf("answer is %s", r.body)
			}
			var found logged
			for _, line := range h.log.take() {
				if line.level == "error" {
					found = line
				}
			}
			text := fmt.Sprint(found.fields["error"])
			if name != "bump without a transaction" && !strings.Contains(text, secret) || found.fields["requestId"] != r.header.Get("Tes-Request-Id") {
				t.Errorf("logged %+v", found)
			}
			if name == "panic" && !strings.Contains(text, "harness_test.go") {
				t.Errorf("no stack in the log: %s", text)
			}
		})
	}
}

// TestAbort lets a handler's wish to break the connection through.
func TestAbort(t *testing.T) {
	h := start(t)
	h.node.panics = http.ErrAbortHandler
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	h.server.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/version/registry", nil))
}

// TestUnsignedAnswer is a bump that was applied, and whose answer cannot be signed here.
func TestUnsignedAnswer(t *testing.T) {
	h := start(t)
	h.node.signErr = cluster.ErrNotReady
	h.post("/version/bump", bumpMain, "Idempotency-Key: k").wantFailure(504, client.CodeOutcomeUnknown)
	h.get("/version/receipts/1").wantFailure(503, client.CodeNotReady)
	h.node.signErr = nil
	r := h.post("/version/bump", bumpMain, "Idempotency-Key: k")
	if got := decodeAs[client.BumpResponse](r); got.Revision != 2 || r.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %+v", got)
	}
}

// TestUnfounded asks a node whose cluster has not been founded.
func TestUnfounded(t *testing.T) {
	h := startEmpty(t, newUnfoundedNode())
	for _, path := range []string{"/version/registry", "/registries/x/version/registry", "/version/history", "/version/receipts/1", "/version/entities/a"} {
		r := h.get(path)
		if r.wantFailure(503, client.CodeNotReady); r.header.Get("Tes-Cluster") != "" {
			t.Errorf("headers are %v", r.header)
		}
	}
	h.post("/version/bump", bumpMain).wantFailure(503, client.CodeNotReady)
	h.post("/version/bump", `{"scope":"patch","dryRun":true}`).wantFailure(503, client.CodeNotReady)
	h.post("/version/migrate", migrating(entityJSON())).wantFailure(503, client.CodeNotReady)
	for _, path := range []string{"/version/health", "/registries/x/version/health"} {
		if got := decodeAs[client.Health](h.get(path)); got.Lifecycle != "BLOCKED" || got.Role != "nonvoter" || got.ClusterID != "" || got.Revision != 0 {
			t.Errorf("health is %+v", got)
		}
	}
	if got := h.get("/cluster").body; got != `{"clusterId":"","leader":"","term":0,"nodes":[],"connections":[]}` {
		t.Errorf("cluster is %s", got)
	}
}

// TestDrain refuses what is not about the node alone.
func TestDrain(t *testing.T) {
	h := start(t)
	h.server.Drain()
	for _, r := range []*reply{
		h.post("/version/bump", bumpMain), h.post("/version/batch", "{"), h.post("/version/migrate", ""),
		h.get("/version/registry"), h.get("/version/history"), h.get("/version/receipts/1"), h.get("/version/entities/a"),
	} {
		if e := r.wantFailure(503, client.CodeShuttingDown); e.Outcome != client.OutcomeNotApplied || r.header.Get("Retry-After") == "" {
			t.Errorf("error is %+v", e)
		}
	}
	for path, status := range map[string]int{"/version/health": 200, "/cluster": 200, "/livez": 200, "/readyz": 503, "/nope": 404} {
		if r := h.get(path); r.status != status {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	h.get("/version/bump").wantFailure(405, client.CodeMethodNotAllowed)
	if r := h.get("/readyz?verbose"); !strings.Contains(r.body, "[-]shutdown: ") {
		t.Errorf("readyz says %q", r.body)
	}
}

// TestReadyz checks the forms of readiness.
func TestReadyz(t *testing.T) {
	h := start(t)
	if r := h.get("/readyz"); r.status != 200 || r.body != `{"status":"ok"}` {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for _, query := range []string{"verbose", "verbose=", "verbose=true"} {
		r := h.get("/readyz?" + query)
		if r.status != 200 || r.body != "[+]leader ok\n[+]applied ok\n" || r.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: got %d %q %v", query, r.status, r.body, r.header)
		}
	}
	if r := h.get("/readyz?verbose=false"); r.body != `{"status":"ok"}` {
		t.Errorf("got %s", r.body)
	}
	h.node.checks = []cluster.Check{{Name: "leader", Detail: "none is known"}, {Name: "applied", OK: true, Detail: "ignored"}, {Name: "key", Detail: "differs"}}
	r := h.get("/readyz")
	e := r.wantFailure(503, client.CodeNotReady)
	if !strings.Contains(e.Message, "leader: none is known; key: differs") || strings.Contains(e.Message, "applied") || r.header.Get("Retry-After") == "" {
		t.Errorf("error is %+v", e)
	}
	r = h.get("/readyz?verbose")
	if want := "[-]leader: none is known\n[+]applied ok\n[-]key: differs\n"; r.status != 503 || r.body != want {
		t.Errorf("got %d %q, want %q", r.status, r.body, want)
	}
	c, err := client.New([]string{h.url}, client.WithHTTPClient(h.http))
	if err != nil {
		t.Fatal(err)
	}
	if report, err := c.Ready(t.Context()); err == nil || !strings.Contains(report, "[-]key: differs") {
		t.Errorf("the client reads %q, %v", report, err)
	}
}

// TestBrokenBody is a body that ends before its length.
func TestBrokenBody(t *testing.T) {
	h := start(t)
	req := httptest.NewRequest("POST", "/version/bump", io.MultiReader(strings.NewReader(`{"scope":`), failing{}))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.server.Handler().ServeHTTP(w, req)
	(&reply{t, w.Code, w.Header(), w.Body.String()}).wantFailure(400, client.CodeInvalidRequest)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestNew refuses what a server cannot be made of.
func TestNew(t *testing.T) {
	good := httpapi.Config{Node: newFakeNode(0), DefaultRegistry: "r", AlarmTimeout: time.Minute, Log: &recorder{}}
	if s, err := httpapi.New(good); err != nil || s == nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*httpapi.Config){
		"no node":      func(c *httpapi.Config) { c.Node = nil },
		"no log":       func(c *httpapi.Config) { c.Log = nil },
		"no registry":  func(c *httpapi.Config) { c.DefaultRegistry = "" },
		"bad registry": func(c *httpapi.Config) { c.DefaultRegistry = "a/b" },
		"no timeout":   func(c *httpapi.Config) { c.AlarmTimeout = 0 },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := httpapi.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestClientUnderstands sends what the Go client sends.
func TestClientUnderstands(t *testing.T) {
	h := start(t)
	c, err := client.New([]string{h.url}, client.WithHTTPClient(h.http))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	bumped, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch, EntityID: "component:shop", Cascade: new(false), ExpectedVersion: "1.2.3", Reason: "r"})
	if err != nil || bumped.Changes[0].EntityID != "component:shop" {
		t.Errorf("bump: %+v, %v", bumped, err)
	}
	if _, err = c.Batch(ctx, client.BatchRequest{Requests: []client.BumpRequest{{Scope: client.Minor, EntityID: "global:main"}}, DryRun: true}); err != nil {
		t.Error(err)
	}
	registry, err := c.Registry(ctx, client.RegistryOptions{Type: "component", DisplayInUI: new(false), Query: "shop"})
	if err != nil || len(registry.Entities) != 1 {
		t.Fatalf("registry: %+v, %v", registry, err)
	}
	all, err := c.Registry(ctx, client.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Migrate(ctx, client.MigrateRequest{Source: "s", Entities: all.Entities})
	if err != nil || again.Migrated {
		t.Errorf("migrate: %+v, %v", again, err)
	}
	if _, err := c.Entity(ctx, "@babel/core"); err != nil {
		t.Error(err)
	}
	if _, err := c.Entity(ctx, "nope"); err == nil {
		t.Error("no error")
	}
}

// FuzzHandler sends any request: the answer is never a defect's.
func FuzzHandler(f *testing.F) {
	for _, seed := range [][4]string{
		{"POST", "/version/bump", "", `{"scope":"patch","entityId":"global:main"}`},
		{"POST", "/registries/x/version/migrate", "", `{"source":"s","entities":[]}`},
		{"GET", "/version/history", "after=1&limit=2&last=3", ""},
		{"GET", "/version/entities/%2F..%2Fx", "consistency=stale&min_revision=18446744073709551615", ""},
		{"HEAD", "/version/receipts/18446744073709551615", "max_stale=1h", ""},
		{"PUT", "//", ";&%", "\x00"},
		{"*", "*", "?", "null"},
		{"CONNECT", "", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	node := newFakeNode(2)
	s, err := httpapi.New(httpapi.Config{Node: node, DefaultRegistry: defaultRegistry, AlarmTimeout: time.Minute, Log: &recorder{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		req := httptest.NewRequest("GET", "/", strings.NewReader(body))
		req.Method = method
		req.URL.Path, req.URL.RawPath, req.URL.RawQuery = path, path, query
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, req)
		if w.Code >= 500 && w.Code != 503 || w.Code/100 == 3 && w.Code != 304 {
			t.Errorf("%s %q ?%q %q: %d %s", method, path, query, body, w.Code, w.Body)
		}
	})
}
