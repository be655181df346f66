package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tesd/tesd/client"
)

// TestRefusals sends every kind of wrong request. Each is refused in the one form of
// errors, and changes nothing.
func TestRefusals(t *testing.T) {
	h := start(t)
	h.node.frozen = true
	for _, c := range slices.Concat(malformedBodies(), badBumps(), badBatches(), badMigrates(), badHeaders(), badPaths(), badReads(), badEntityWrites(), badMembership()) {
		if c.method == "" {
			c.method = http.MethodPost
		}
		if c.path == "" {
			c.path = "/version/bump"
		}
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			before := h.stateHash()
			h.checkRefusal(c)
			if h.stateHash() != before {
				t.Fatal("the refusal changed the state")
			}
		})
	}
}

func (h *harness) checkRefusal(c refusal) {
	t := h.t
	t.Helper()
	proposals := h.node.proposals
	r := h.do(c.method, c.path, c.body, c.headers...)
	if r.status/100 == 4 && r.status != 404 && r.status != 409 && r.status != 412 && r.status != 422 && h.node.proposals != proposals {
		t.Error("the request was proposed")
	}
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Tes-Node") != "n1" || r.header.Get("Tes-Request-Id") == "" {
		t.Errorf("headers are %v", r.header)
	}
	if r.header.Get("Location") != "" || (r.status == 405) != (r.header.Get("Allow") != "") {
		t.Errorf("headers are %v", r.header)
	}
	if c.method == http.MethodHead {
		if r.status != c.status || r.body != "" {
			t.Errorf("got %d %q, want %d and no body", r.status, r.body, c.status)
		}
		return
	}
	e := r.wantFailure(c.status, c.code)
	if e.Outcome != client.OutcomeRejected || e.HSL != "#FF0000" || e.Message == "" {
		t.Errorf("error is %+v", e)
	}
	if e.Context.Domain != "VERSION_MANAGEMENT" || e.Context.Scope != "HTTP" || e.Context.Operation == "" ||
		e.Context.RequestID != r.header.Get("Tes-Request-Id") {
		t.Errorf("context is %+v", e.Context)
	}
	var paths []string
	for _, d := range e.Details {
		paths = append(paths, d.Path)
		if d.Message == "" {
			t.Errorf("no message at %q", d.Path)
		}
	}
	if c.paths != nil && !slices.Equal(paths, c.paths) {
		t.Errorf("details are at %q, want %q: %+v", paths, c.paths, e.Details)
	}
	if c.code == client.CodeRegistryInvalid {
		want := c.name[strings.LastIndex(c.name, " ")+1:]
		if e.Validation == nil || e.Validation.Valid || len(e.Validation.Errors) == 0 || e.Validation.Errors[0].Code != want {
			t.Errorf("validation is %+v, want an error %s", e.Validation, want)
		}
	}
}

// TestRefusalsNameWhatIs checks that whoever lost a race learns against what.
func TestRefusalsNameWhatIs(t *testing.T) {
	h := start(t)
	e := h.post("/version/bump", `{"scope":"patch","entityId":"global:main","expectedVersion":"9.9"}`).wantFailure(409, client.CodeVersionConflict)
	if !strings.Contains(e.Message, `"1.0"`) || e.Context.EntityID != "global:main" || e.Details[0].Message != e.Message {
		t.Errorf("error is %+v", e)
	}
	e = h.post("/version/bump", `{"scope":"patch"}`, `If-Match: "5"`).wantFailure(412, client.CodeRevisionMismatch)
	if !strings.Contains(e.Message, "revision 1") {
		t.Errorf("message is %q", e.Message)
	}
	e = h.get("/version/entities/@babel%2Fnope").wantFailure(404, client.CodeEntityNotFound)
	if e.Context.EntityID != "@babel/nope" || e.Context.Operation != "entity" {
		t.Errorf("context is %+v", e.Context)
	}
}

// TestEmptyRegistry bumps the default registry before its first transaction.
func TestEmptyRegistry(t *testing.T) {
	h := startEmpty(t, newFakeNode(0))
	for _, body := range []string{`{"scope":"patch"}`, `{"scope":"patch","dryRun":true}`, `{"scope":"patch","entityId":"a"}`} {
		h.post("/version/bump", body).wantFailure(404, client.CodeEntityNotFound)
	}
	got := h.get("/version/registry")
	want := `{"registryId":"tes-registry-v1","revision":0,"lifecycle":"CREATED","entities":[],"hsl":"#9D4EDD"}`
	if got.body != want {
		t.Errorf("got %s, want %s", got.body, want)
	}
}

// TestManyFaults sends more faults than an answer lists.
func TestManyFaults(t *testing.T) {
	h := start(t)
	r := h.post("/registries/new/version/migrate", migrating(strings.TrimSuffix(strings.Repeat(`{},`, 1000), ",")))
	e := r.wantFailure(400, client.CodeInvalidRequest)
	last := e.Details[len(e.Details)-1]
	if len(e.Details) != 257 || last.Message != "has more faults than are listed" {
		t.Errorf("%d details, the last is %+v", len(e.Details), last)
	}
}
