package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/client"
)

// put sends an entity to the path of the entity x, unless another path is given.
func (h *harness) put(body string, headers ...string) *reply {
	h.t.Helper()
	return h.do("PUT", "/version/entities/x", body, headers...)
}

// TestPutAndDelete takes an entity through its life.
func TestPutAndDelete(t *testing.T) {
	h := start(t)
	created := h.put(entityJSON(), "If-None-Match: *", `If-Match: "1"`, "Idempotency-Key: k1")
	got := decodeAs[client.EntityWriteResponse](created)
	if got.Revision != 2 || len(got.Changes) != 1 || got.Changes[0].OldVersion != nil || *got.Changes[0].NewVersion != "1.0.0" ||
		got.Entity == nil || got.Entity.DisplayName != "X" || got.TransactionID == "" || got.Signature == "" || got.KeyID == "" || got.Timestamp == 0 {
		t.Errorf("created: %+v", got)
	}
	if created.header.Get("Tes-Sig") != got.Signature || created.header.Get("ETag") != `"2"` {
		t.Errorf("headers are %v", created.header)
	}
	receipt := decodeAs[client.Receipt](h.get("/version/receipts/2"))
	if receipt.Signature != got.Signature {
		t.Errorf("receipt %+v is not that of %+v", receipt, got)
	}
	if _, err := (client.Verifier{Key: signingKey()}).VerifyReceipt(receipt); err != nil {
		t.Error(err)
	}

	// A replace keeps the version, whether it is given or not.
	renamed := entityJSON(`"currentVersion":"1.0.0",`, "", `"X"`, `"Y"`)
	got = decodeAs[client.EntityWriteResponse](h.put(renamed))
	if got.Revision != 3 || *got.Changes[0].OldVersion != "1.0.0" || *got.Changes[0].NewVersion != "1.0.0" || got.Entity.CurrentVersion != "1.0.0" {
		t.Errorf("replaced: %+v", got)
	}
	same := h.put(entityJSON(`"X"`, `"Y"`))
	if got = decodeAs[client.EntityWriteResponse](same); got.Revision != 3 || len(got.Changes) != 0 || got.TransactionID != "" || got.Entity == nil {
		t.Errorf("unchanged: %+v", got)
	}
	if same.header.Get("Tes-Sig") != "" || same.header.Get("ETag") != `"3"` || strings.Contains(same.body, "signature") || !strings.Contains(same.body, `"changes":[]`) {
		t.Errorf("unchanged: %v %s", same.header, same.body)
	}

	// The first answer comes again, whatever has happened since.
	again := h.put(` `+entityJSON(), "If-None-Match: *", `If-Match: "1"`, "Idempotency-Key: k1")
	if again.body != created.body || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("ETag") != `"2"` {
		t.Errorf("the repeat answers\n%s %v, want\n%s", again.body, again.header, created.body)
	}
	h.put(entityJSON(), `If-Match: "1"`, "Idempotency-Key: k1").wantFailure(422, client.CodeIdempotencyKeyReused)

	deleted := h.do("DELETE", "/version/entities/x", "", "Idempotency-Key: k2", `If-Match: "3"`)
	got = decodeAs[client.EntityWriteResponse](deleted)
	if got.Revision != 4 || *got.Changes[0].OldVersion != "1.0.0" || got.Changes[0].NewVersion != nil || got.Entity != nil || got.Signature == "" {
		t.Errorf("deleted: %+v", got)
	}
	if again := h.do("DELETE", "/version/entities/x", "", "Idempotency-Key: k2", `If-Match: "3"`); again.body != deleted.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat answers\n%s, want\n%s", again.body, deleted.body)
	}
	h.get("/version/entities/x").wantFailure(404, client.CodeEntityNotFound)

	// The id keeps its last version.
	e := h.put(entityJSON()).wantFailure(409, client.CodeVersionConflict)
	if !strings.Contains(e.Message, "1.0.0") || e.Details[0].Path != "currentVersion" {
		t.Errorf("error is %+v", e)
	}
	got = decodeAs[client.EntityWriteResponse](h.put(entityJSON("1.0.0", "v1.1")))
	if got.Revision != 5 || got.Entity.CurrentVersion != "v1.1" {
		t.Errorf("back: %+v", got)
	}
	if history := decodeAs[client.HistoryResponse](h.get("/version/history?entityId=x")); len(history.Events) != 4 {
		t.Errorf("the history has %d events of it, want 4", len(history.Events))
	}
}

// TestPutMakesRegistry checks what brings a registry into being, and what does not.
func TestPutMakesRegistry(t *testing.T) {
	h := start(t)
	for path, body := range map[string]string{"bump": `{"scope":"patch"}`, "batch": `{"requests":[{"scope":"patch"}]}`} {
		h.post("/registries/new/version/"+path, body).wantFailure(404, client.CodeRegistryNotFound)
	}
	h.do("DELETE", "/registries/new/version/entities/x", "").wantFailure(404, client.CodeRegistryNotFound)
	h.do("PUT", "/registries/new/version/entities/x", entityJSON(), `If-Match: "1"`).wantFailure(412, client.CodeRevisionMismatch)
	h.do("PUT", "/registries/new/version/entities/x", entityJSON(`"files"`, `"parentVersionId":"nope","files"`)).wantFailure(422, client.CodeRegistryInvalid)
	if got := decodeAs[client.RegistriesResponse](h.get("/registries")); len(got.Registries) != 1 {
		t.Errorf("registries are %+v", got.Registries)
	}
	got := decodeAs[client.EntityWriteResponse](h.do("PUT", "/registries/new/version/entities/x", entityJSON()))
	if got.RegistryID != "new" || got.Revision != 1 {
		t.Errorf("got %+v", got)
	}
	want := []client.RegistrySummary{
		{RegistryID: "new", Revision: 1, Entities: 1, Lifecycle: "RUNNING"},
		{RegistryID: defaultRegistry, Revision: 1, Entities: 4, Lifecycle: "RUNNING"},
	}
	if diff := cmp.Diff(want, decodeAs[client.RegistriesResponse](h.get("/registries?consistency=stale")).Registries); diff != "" {
		t.Errorf("registries (-want +got):\n%s", diff)
	}
}

// badEntityWrites are puts and deletes that are refused.
func badEntityWrites() []refusal {
	const x, shop = "/version/entities/x", "/version/entities/component:shop"
	put := func(name, path, body string, status int, code client.Code, paths ...string) refusal {
		return refusal{name: "put " + name, method: "PUT", path: path, body: body, status: status, code: code, paths: paths}
	}
	with := func(r refusal, headers ...string) refusal { r.headers = headers; return r }
	shopWith := func(parent string) string {
		return entityJSON(`"x"`, `"component:shop"`, "1.0.0", "1.2.3", "independent", "linked-to-parent", `"files"`, `"parentVersionId":"`+parent+`","files"`)
	}
	return []refusal{
		put("without a body", x, "", 400, client.CodeInvalidRequest, ""),
		put("of no object", x, "[]", 400, client.CodeInvalidRequest, ""),
		put("with another id than the path's", "/version/entities/y", entityJSON(), 400, client.CodeInvalidRequest, "id"),
		put("with a bad id", "/version/entities/a%20b", entityJSON(`"x"`, `"a b"`), 400, client.CodeInvalidRequest, "id"),
		put("with an unknown field", x, entityJSON(`"type"`, `"owner":"me","type"`), 400, client.CodeInvalidRequest, "owner"),
		put("with a bad type", x, entityJSON(`component`, `thing`), 400, client.CodeInvalidRequest, "type"),
		put("without files", x, entityJSON(`"files":[],`, ``), 400, client.CodeInvalidRequest, "files"),
		put("with an empty version", x, entityJSON(`"1.0.0"`, `""`), 400, client.CodeInvalidRequest, "currentVersion"),
		put("with null", x, entityJSON(`"1.0.0"`, `null`), 400, client.CodeInvalidRequest, "currentVersion"),
		with(put("with a tag", x, entityJSON(), 400, client.CodeInvalidRequest, "If-None-Match"), `If-None-Match: "3"`),
		with(put("as text", x, entityJSON(), 415, client.CodeUnsupportedMediaType), "Content-Type: text/plain"),
		put("too large", x, entityJSON(`"X"`, `"`+strings.Repeat("X", 1<<20)+`"`), 413, client.CodePayloadTooLarge),
		put("of content that is BAD_VERSION", x, entityJSON("1.0.0", "latest"), 422, client.CodeRegistryInvalid),
		put("of content that is BAD_PATTERN", x, entityJSON(`"files":[]`, fileJSON("pattern", `"("`)), 422, client.CodeRegistryInvalid),
		put("of content that is BAD_PATH", x, entityJSON(`"files":[]`, fileJSON("path", `"../a"`)), 422, client.CodeRegistryInvalid),
		put("of content that is NO_PARENT", x, entityJSON("independent", "linked-to-parent"), 422, client.CodeRegistryInvalid),
		put("of content that is MISSING_PARENT", shop, shopWith("nope"), 422, client.CodeRegistryInvalid),
		put("of content that is CYCLE", shop, shopWith("@babel/core"), 422, client.CodeRegistryInvalid),
		put("of another version", shop, entityJSON(`"x"`, `"component:shop"`), 409, client.CodeVersionConflict, "currentVersion"),
		with(put("of what exists", shop, entityJSON(`"x"`, `"component:shop"`), 409, client.CodeEntityExists), "If-None-Match: *"),
		with(put("at another revision", x, entityJSON(), 412, client.CodeRevisionMismatch, "If-Match"), `If-Match: "7"`),
		{name: "delete of what is not there", method: "DELETE", path: x, status: 404, code: client.CodeEntityNotFound},
		{name: "delete of what cannot be there", method: "DELETE", path: "/version/entities/a%20b", status: 404, code: client.CodeEntityNotFound},
		{name: "delete of a parent", method: "DELETE", path: shop, status: 409, code: client.CodeHasChildren},
		{name: "delete at another revision", method: "DELETE", path: x, headers: []string{`If-Match: "7"`}, status: 412, code: client.CodeRevisionMismatch},
		{name: "delete with a body", method: "DELETE", path: x, body: "{}", status: 400, code: client.CodeInvalidRequest, paths: []string{""}},
		{name: "delete with a parameter", method: "DELETE", path: x + "?force", status: 400, code: client.CodeInvalidRequest, paths: []string{"?force"}},
		{name: "registries by revision", method: http.MethodGet, path: "/registries?min_revision=1", status: 400, code: client.CodeInvalidRequest, paths: []string{"?min_revision"}},
		{name: "registries posted", path: "/registries", body: "{}", status: 405, code: client.CodeMethodNotAllowed},
		{name: "entity posted", path: x, body: entityJSON(), status: 405, code: client.CodeMethodNotAllowed},
	}
}

// TestPutWithoutVersion: only the machine knows that there is nothing to replace.
func TestPutWithoutVersion(t *testing.T) {
	h := start(t)
	before := h.stateHash()
	h.node.frozen = true
	e := h.put(entityJSON(`"currentVersion":"1.0.0",`, "")).wantFailure(400, client.CodeInvalidRequest)
	if len(e.Details) != 1 || e.Details[0].Path != "currentVersion" || e.Outcome != client.OutcomeRejected || h.stateHash() != before {
		t.Errorf("error is %+v", e)
	}
}
