package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/httpapi"
)

var _ httpapi.Node = (*cluster.Node)(nil)

var update = flag.Bool("update", false, "rewrite testdata/answers with what the server answers now")

// golden holds a body, indented, against a file.
func (r *reply) golden(name string) {
	r.t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, []byte(r.body), "", "  "); err != nil {
		r.t.Fatalf("%s: status %d, %q: %v", name, r.status, r.body, err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", "answers", name+".json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestAnswers holds the body of every success, and of an error, against its file. The
// cluster's id, key and clock are fixed, so ids and signatures are as well.
func TestAnswers(t *testing.T) {
	h := startEmpty(t, newFakeNode(0))
	h.node.members = []cluster.Member{
		{ID: "n2", RaftAddress: "127.0.0.1:9002", Voter: true},
		{ID: "n1", RaftAddress: "127.0.0.1:9001", Voter: true, Status: &h.node.status},
	}
	for _, c := range []struct{ name, method, path, body string }{
		{"migrate", "POST", "/version/migrate", `{"source":"test","entities":` + example() + `}`},
		{"migrate-again", "POST", "/version/migrate", migrating(entityJSON())},
		{"bump-dry-run", "POST", "/version/bump", `{"scope":"minor","entityId":"global:main","dryRun":true}`},
		{"bump", "POST", "/version/bump", `{"scope":"minor","entityId":"global:main","reason":"why not"}`},
		{"batch-dry-run", "POST", "/version/batch", `{"dryRun":true,"requests":[{"scope":"patch","entityId":"@babel/core"}]}`},
		{"batch", "POST", "/version/batch", `{"requests":[{"scope":"patch","entityId":"@babel/core"},{"scope":"major","entityId":"global:main"},{"scope":"patch","entityId":"global:main","cascade":false,"expectedVersion":"2.0.0"}]}`},
		{"registry", "GET", "/version/registry", ""},
		{"registry-page", "GET", "/registries/tes-registry-v1/version/registry?limit=1&displayInUi=false", ""},
		{"entity", "GET", "/version/entities/component:shop", ""},
		{"put", "PUT", "/version/entities/x", entityJSON()},
		{"put-unchanged", "PUT", "/version/entities/x", entityJSON()},
		{"delete", "DELETE", "/version/entities/x", ""},
		{"registries", "GET", "/registries", ""},
		{"history", "GET", "/version/history?receipts=true", ""},
		{"history-page", "GET", "/version/history?limit=1&after=1", ""},
		{"receipt", "GET", "/version/receipts/2", ""},
		{"health", "GET", "/version/health", ""},
		{"cluster", "GET", "/cluster", ""},
		{"livez", "GET", "/livez", ""},
		{"readyz", "GET", "/readyz", ""},
		{"error", "POST", "/version/batch", `{"requests":[{"scope":"patch","entityId":"a b"}]}`},
		{"error-invalid", "POST", "/registries/new/version/migrate", migrating(entityJSON(`1.0.0`, `latest`))},
	} {
		h.do(c.method, c.path, c.body).golden(c.name)
	}
}

// TestBump checks what a bump answers besides its body, and that the receipt proves it.
func TestBump(t *testing.T) {
	h := start(t)
	r := h.post("/version/bump", `{"scope":"patch","entityId":"global:main"}`, `If-Match: "1"`)
	got := decodeAs[client.BumpResponse](r)
	for name, want := range map[string]string{
		"Tes-Sig": got.Signature, "ETag": `"2"`, "Tes-Revision": "2", "Tes-Node": "n1", "Tes-Cluster": clusterID,
		"Content-Type": "application/json", "Idempotency-Replayed": "",
	} {
		if r.header.Get(name) != want {
			t.Errorf("header %s is %q, want %q", name, r.header.Get(name), want)
		}
	}
	if got.Revision != 2 || len(got.Bumped) != 2 || got.Bumped[0].CurrentVersion != "1.0.1" || got.Bumped[1].ID != "component:shop" {
		t.Errorf("got %+v", got)
	}
	receipt := decodeAs[client.Receipt](h.get("/version/receipts/2"))
	if receipt.Signature != got.Signature || receipt.KeyID != got.KeyID {
		t.Errorf("receipt %+v is not that of %+v", receipt, got)
	}
	if _, err := (client.Verifier{Key: signingKey()}).VerifyReceipt(receipt); err != nil {
		t.Error(err)
	}
	if h.node.deadline <= 0 || h.node.deadline.Seconds() > 10 {
		t.Errorf("the deadline was %v away, want 10 s", h.node.deadline)
	}
}

// TestPlanEqualsBump makes the real bump equal its plan.
func TestPlanEqualsBump(t *testing.T) {
	for name, c := range map[string]struct{ route, request string }{
		"bump":  {"/version/bump", `"scope":"major","entityId":"global:main"`},
		"alone": {"/version/bump", `"scope":"major","entityId":"component:shop","cascade":false`},
		"batch": {"/version/batch", `"requests":[{"scope":"minor","entityId":"global:main"},{"scope":"minor","entityId":"@babel/core"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			before := h.stateHash()
			plan := h.post(c.route, `{"dryRun":true,`+c.request+`}`, "Idempotency-Key: k")
			if h.stateHash() != before || plan.header.Get("Tes-Sig") != "" {
				t.Error("the plan left traces")
			}
			if o := h.node.reads[len(h.node.reads)-1]; o.Mode != cluster.Linearizable || o.MinRevision != 0 {
				t.Errorf("planned on a read with %+v", o)
			}
			done := h.post(c.route, `{`+c.request+`}`, "Idempotency-Key: k", "If-Match: "+plan.header.Get("ETag"))
			var planned, got map[string]any
			for body, to := range map[string]*map[string]any{plan.body: &planned, done.body: &got} {
				if err := json.Unmarshal([]byte(body), to); err != nil {
					t.Fatal(err)
				}
			}
			for _, field := range []string{"transactionId", "timestamp", "signature", "keyId"} {
				if planned[field] != nil || got[field] == nil {
					t.Errorf("%s: planned %v, got %v", field, planned[field], got[field])
				}
			}
			for _, field := range []string{"bumped", "changes", "results", "registryId"} {
				if diff := cmp.Diff(planned[field], got[field]); diff != "" {
					t.Errorf("%s (-planned +done):\n%s", field, diff)
				}
			}
		})
	}
}

// TestIdempotency repeats writes under their keys.
func TestIdempotency(t *testing.T) {
	h := start(t)
	const bump = `{"scope":"patch","entityId":"global:main"}`
	first := h.post("/version/bump", bump, "Idempotency-Key: k1", `If-Match: "1"`)
	h.post("/version/bump", `{"scope":"major","entityId":"component:shop"}`)
	again := h.post("/registries/tes-registry-v1/version/bump", ` { "entityId":"global:main", "cascade":true, "scope":"patch" } `,
		"Idempotency-Key: k1", `If-Match: "1"`)
	if first.body != again.body || again.status != 200 {
		t.Errorf("the repeat answers\n%s, want\n%s", again.body, first.body)
	}
	if again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Tes-Sig") != first.header.Get("Tes-Sig") || again.header.Get("ETag") != `"2"` {
		t.Errorf("headers are %v", again.header)
	}
	for name, c := range map[string]struct {
		path, body string
		headers    []string
	}{
		"other body":     {"/version/bump", `{"scope":"minor","entityId":"global:main"}`, []string{`If-Match: "1"`}},
		"other If-Match": {"/version/bump", bump, []string{`If-Match: "2"`}},
		"no If-Match":    {"/version/bump", bump, nil},
		"other route":    {"/version/batch", `{"requests":[` + bump + `]}`, nil},
		"other registry": {"/registries/other/version/bump", bump, []string{`If-Match: "1"`}},
	} {
		r := h.post(c.path, c.body, append(c.headers, "Idempotency-Key: k1")...)
		if e := r.wantFailure(422, client.CodeIdempotencyKeyReused); e.Outcome != client.OutcomeRejected {
			t.Errorf("%s: outcome is %s", name, e.Outcome)
		}
	}
	const refused = `{"scope":"patch","entityId":"late"}`
	h.post("/version/bump", refused, "Idempotency-Key: k2").wantFailure(404, client.CodeEntityNotFound)
	r := h.post("/version/bump", refused, "Idempotency-Key: k2")
	if r.wantFailure(404, client.CodeEntityNotFound); r.header.Get("Idempotency-Replayed") != "true" {
		t.Error("a refusal was not kept under its key")
	}
	h.post("/version/bump", `{"scope":"huge"}`, "Idempotency-Key: k3").wantFailure(400, client.CodeInvalidRequest)
	if r := h.post("/version/bump", bump, "Idempotency-Key: k3"); r.status != 200 {
		t.Errorf("what is refused before the log must not be kept: %s", r.body)
	}
}

// TestMigrate imports twice, and into a registry that is new.
func TestMigrate(t *testing.T) {
	h := startEmpty(t, newFakeNode(0))
	body := `{"source":"file","entities":` + example() + `}`
	for _, prefix := range []string{"", "/registries/team-a"} {
		first := decodeAs[client.MigrateResponse](h.post(prefix+"/version/migrate", body, "Idempotency-Key: m"+prefix))
		if !first.Migrated || first.EntitiesMigrated != 4 || first.Revision != 1 || first.TransactionID == "" || !first.Validation.Valid {
			t.Errorf("%q: got %+v", prefix, first)
		}
		if codes := first.Validation.Info; len(codes) != 2 || codes[0].Code != "NOT_STRICT_SEMVER" {
			t.Errorf("info is %+v", codes)
		}
		replayed := h.post(prefix+"/version/migrate", body, "Idempotency-Key: m"+prefix)
		if diff := cmp.Diff(first, decodeAs[client.MigrateResponse](replayed)); diff != "" {
			t.Errorf("replay (-first +again):\n%s", diff)
		}
		second := h.post(prefix+"/version/migrate", body)
		if got := decodeAs[client.MigrateResponse](second); got.Migrated || got.EntitiesMigrated != 0 || got.Revision != 1 || got.TransactionID != "" {
			t.Errorf("second time: %+v", got)
		}
		if second.header.Get("Tes-Sig") != "" || strings.Contains(second.body, "signature") {
			t.Error("the second time there was something to sign")
		}
	}
	lines := h.log.take()
	if len(lines) != 2 || lines[0].message != "migration_complete" || lines[1].fields["target"] != "team-a" ||
		lines[1].fields["source"] != "file" || lines[1].fields["entitiesMigrated"] != 4 {
		t.Errorf("log is %+v", lines)
	}
	if got := decodeAs[client.Health](h.get("/registries/team-a/version/health")); got.RegistryID != "team-a" || got.Revision != 1 {
		t.Errorf("health is %+v", got)
	}
}

// TestTelemetry checks that a bump is logged once, by what became of it.
func TestTelemetry(t *testing.T) {
	h := start(t)
	const bump = `{"scope":"patch","entityId":"global:main"}`
	h.post("/version/bump", bump, "Idempotency-Key: k")
	h.post("/version/bump", bump, "Idempotency-Key: k")
	h.post("/version/bump", `{"scope":"patch","entityId":"global:main","dryRun":true}`)
	h.post("/version/bump", `{"scope":"x"}`)
	h.post("/version/bump", `{"scope":"patch","entityId":"nope"}`)
	h.post("/version/batch", `{"requests":[`+bump+`]}`)
	var got []string
	for _, line := range h.log.take() {
		got = append(got, line.message)
		for _, name := range []string{"scope", "entityId", "duration", "entitiesBumped", "hsl", "threadGroup", "threadId"} {
			if _, ok := line.fields[name]; !ok {
				t.Errorf("%s lacks %s", line.message, name)
			}
		}
		if line.fields["threadGroup"] != "VERSION_MANAGEMENT" || line.fields["threadId"] != "0x6001" {
			t.Errorf("fields are %v", line.fields)
		}
	}
	want := []string{"version_bump_success", "version_bump_failed", "version_bump_success"}
	if !slices.Equal(got, want) {
		t.Errorf("logged %v, want %v", got, want)
	}
}

// TestRequestID takes the caller's name for a request if it is sane.
func TestRequestID(t *testing.T) {
	h := start(t)
	for id, keep := range map[string]bool{
		"abc-1:2/3": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a b": false, `"x"`: false, "é": false,
	} {
		got := h.get("/nope", "X-Request-Id: "+id)
		if e := got.failure(); (e.Context.RequestID == id) != keep || got.header.Get("Tes-Request-Id") != e.Context.RequestID {
			t.Errorf("id %q became %q", id, e.Context.RequestID)
		}
	}
}
