package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// fakeKey is the signing key of the fake cluster.
const fakeKey = "0123456789abcdef0123456789abcdef"

// fake answers the routes of a cluster with canned answers, and records what it was asked.
type fake struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string // a line per request
	rise int      // how often component:rising was read
}

func newFake(tb testing.TB) *fake {
	f := &fake{}
	f.Server = httptest.NewServer(f)
	tb.Cleanup(f.Close)
	return f
}

// asked returns what the fake was asked since it last told.
func (f *fake) asked() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := strings.Join(f.seen, "")
	f.seen = nil
	return lines
}

// ServeHTTP answers a request. An entity or a registry whose id begins with "fail." is
// refused with the code that follows; of the registry "hang" it says nothing.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.RequestURI()
	if key := r.Header.Get("Idempotency-Key"); strings.HasPrefix(key, "test-") {
		line += " key=" + key
	} else if key != "" {
		line += " key=made"
	}
	if tag := r.Header.Get("If-None-Match"); tag != "" {
		line += " if-none-match=" + tag
	}
	f.mu.Lock()
	f.seen = append(f.seen, strings.TrimSpace(line+" "+string(body))+"\n")
	f.mu.Unlock()

	path, registry := r.URL.Path, client.DefaultRegistry
	if rest, ok := strings.CutPrefix(path, "/registries/"); ok {
		registry, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	for _, text := range []string{registry, path, string(body)} {
		if _, code, ok := strings.Cut(text, "fail."); ok {
			refuse(w, client.Code(code[:strings.IndexFunc(code+".", func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') })]))
			return
		}
	}
	if registry == "hang" {
		<-r.Context().Done() // until the caller has had enough
		return
	}
	if r.Header.Get("Idempotency-Key") == "test-again" {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	q := r.URL.Query()
	switch {
	case path == "/version/bump":
		answer(w, bumped(registry, decoded[client.BumpRequest](body)))
	case path == "/version/batch":
		answer(w, batched(registry, decoded[client.BatchRequest](body)))
	case path == "/version/migrate":
		answer(w, migrated(registry, decoded[client.MigrateRequest](body)))
	case path == "/version/registry":
		answer(w, listed(registry, q.Get("type"), q.Get("parent")))
	case strings.HasPrefix(path, "/version/entities/"):
		id := strings.TrimPrefix(path, "/version/entities/")
		switch r.Method {
		case http.MethodPut:
			answer(w, put(registry, decoded[client.Entity](body)))
		case http.MethodDelete:
			answer(w, deleted(registry, id))
		default:
			answer(w, client.EntityResponse{Entity: f.entity(id), Revision: 7})
		}
	case path == "/version/history":
		answer(w, paged(registry, q.Get("after"), q.Get("limit"), q.Get("last"), q.Get("receipts") == "true"))
	case path == "/registries":
		answer(w, client.RegistriesResponse{Registries: []client.RegistrySummary{
			{RegistryID: "staging", Revision: 1, Entities: 24, Lifecycle: "TERMINATED"},
			{RegistryID: client.DefaultRegistry, Revision: 7, Entities: 4, Lifecycle: "RUNNING"},
		}})
	case path == "/cluster/backup":
		w.Header().Set("Tes-Applied-Index", "2")
		w.Header().Set("Tes-State-Hash", "what it is")
		if _, err := backedUp().WriteTo(w); err != nil {
			panic(err)
		}
	case path == "/cluster", strings.HasPrefix(path, "/cluster/"):
		answer(w, threeNodes())
	default:
		refuse(w, client.CodeNotFound)
	}
}

// backedUp is the state that the fake gives as a backup.
func backedUp() fsm.View {
	m := fsm.New()
	m.Apply(1, fsm.Entry{Stamp: 1_700_000_000_000, Commands: []fsm.Command{
		{Op: fsm.Genesis{ClusterID: "c1", RegistryID: client.DefaultRegistry, KeyID: client.KeyID([]byte(fakeKey))}},
		{Registry: client.DefaultRegistry, Op: fsm.Migrate{Source: "test", Entities: []fsm.Entity{{
			ID: "global:main", Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: "Main"}}}},
	}})
	return m.View()
}

func decoded[T any](body []byte) T {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		panic(fmt.Sprintf("the command sent %q: %v", body, err))
	}
	return v
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code client.Code) {
	status, outcome := http.StatusInternalServerError, client.OutcomeRejected
	switch code {
	case client.CodeInvalidRequest:
		status = http.StatusBadRequest
	case client.CodeForbidden:
		status = http.StatusForbidden
	case client.CodeNotFound, client.CodeEntityNotFound:
		status = http.StatusNotFound
	case client.CodeRevisionCompacted:
		status = http.StatusGone
	case client.CodeVersionConflict, client.CodeHasChildren, client.CodeEntityExists, client.CodeMembership:
		status = http.StatusConflict
	case client.CodeRevisionMismatch:
		status = http.StatusPreconditionFailed
	case client.CodeIdempotencyKeyReused, client.CodeRegistryInvalid:
		status = http.StatusUnprocessableEntity
	case client.CodeNoLeader:
		status, outcome = http.StatusServiceUnavailable, client.OutcomeNotApplied
	case client.CodeOutcomeUnknown:
		status, outcome = http.StatusGatewayTimeout, client.OutcomeUnknown
	}
	body := client.ErrorBody{
		Code: code, Message: "it was refused", Outcome: outcome, HSL: "#FF0000",
		Context: client.ErrorContext{Domain: "VERSION_MANAGEMENT", Scope: "HTTP", RequestID: "r1"},
	}
	switch code {
	case client.CodeInvalidRequest:
		body.Details = []client.Detail{{Path: "requests[1].scope", Message: "is not a scope"}}
	case client.CodeRegistryInvalid:
		body.Validation = &client.Validation{Errors: []client.Finding{{Code: "CYCLE", EntityID: "a", Message: "it is its own ancestor"}}}
	}
	w.WriteHeader(status)
	answer(w, client.ErrorResponse{Error: body})
}

// fleet is a small registry: a parent, two children and a grandchild.
func fleet() []client.Entity {
	entity := func(id, parent, version, name string) client.Entity {
		e := client.Entity{ID: id, Type: "component", CurrentVersion: version, UpdateStrategy: "linked-to-parent",
			ParentVersionID: parent, Files: []client.File{}, DisplayName: name}
		if parent == "" {
			e.Type, e.UpdateStrategy = "global", "independent"
		}
		return e
	}
	main := entity("global:main", "", "1.9.0", "Main <&> 本体")
	main.Files = []client.File{{Path: "VERSION", Pattern: "^(.*)$", Replacement: "$1", Description: "alone", Required: true}}
	main.DisplayInUI = true
	return []client.Entity{
		main,
		entity("component:a", "global:main", "1.9.10", "Engine\x1b[31m"),
		entity("component:a-part", "component:a", "0.1.0", "Part"),
		entity("component:b", "global:main", "10.0.0-rc.1", "日本語"),
	}
}

// raised is what a bump of fleet comes to.
func raised() ([]client.Entity, []client.Change) {
	entities := fleet()
	var changes []client.Change
	for i, version := range []string{"1.10.0", "1.10.0", "0.2.0", "10.0.0"} {
		e := &entities[i]
		changes = append(changes, client.Change{EntityID: e.ID, OldVersion: new(e.CurrentVersion), NewVersion: new(version), DisplayName: e.DisplayName})
		e.CurrentVersion = version
	}
	return entities, changes
}

func bumped(registry string, req client.BumpRequest) client.BumpResponse {
	entities, changes := raised()
	resp := client.BumpResponse{Success: true, DryRun: req.DryRun, RegistryID: registry, Revision: 7,
		Bumped: entities, Changes: changes, HSL: "#9D4EDD"}
	if !req.DryRun {
		resp.Revision, resp.TransactionID, resp.Timestamp = 8, "tx-8", 1763900000000
		resp.Signature, resp.KeyID = "5160", client.KeyID([]byte(fakeKey))
	}
	return resp
}

func batched(registry string, req client.BatchRequest) client.BatchResponse {
	resp := client.BatchResponse{Success: true, DryRun: req.DryRun, RegistryID: registry, Revision: 7,
		Results: []client.BatchResult{}, HSL: "#9D4EDD"}
	for range req.Requests {
		entities, changes := raised()
		resp.Results = append(resp.Results, client.BatchResult{Bumped: entities[1:3], Changes: changes[1:3]})
	}
	if !req.DryRun {
		resp.Revision, resp.TransactionID, resp.Timestamp = 8, "tx-8", 1763900000000
		resp.Signature, resp.KeyID = "5160", client.KeyID([]byte(fakeKey))
	}
	return resp
}

func migrated(registry string, req client.MigrateRequest) client.MigrateResponse {
	if registry == "full" {
		return client.MigrateResponse{RegistryID: registry, Revision: 4, Validation: &client.Validation{Valid: true}}
	}
	return client.MigrateResponse{
		Migrated: true, RegistryID: registry, Revision: 1, EntitiesMigrated: len(req.Entities),
		Validation:    &client.Validation{Valid: true, Warnings: []client.Finding{{Code: "NO_COMMAND_NAME", EntityID: "cli:x", Message: "a cli-tool has no cliCommandName"}}},
		TransactionID: "tx-1", Timestamp: 1763900000000, Signature: "5160", KeyID: client.KeyID([]byte(fakeKey)),
	}
}

func listed(registry, kind, parent string) client.RegistryResponse {
	resp := client.RegistryResponse{RegistryID: registry, Revision: 7, Lifecycle: "RUNNING", Entities: []client.Entity{}, HSL: "#9D4EDD"}
	for _, e := range fleet() {
		if (kind == "" || e.Type == kind) && (parent == "" || e.ParentVersionID == parent) {
			resp.Entities = append(resp.Entities, e)
		}
	}
	slices.SortFunc(resp.Entities, func(a, b client.Entity) int { return strings.Compare(a.ID, b.ID) })
	return resp
}

// chain is a signed history of five transactions. In the registry "tampered" the third has
// another version than was signed, "truncated" claims to be at revision 9, "compacted"
// keeps the history from revision 3 on, "stranger" gives that of another registry, and
// "empty" has none.
func chain(registry string) client.HistoryResponse {
	h := client.HistoryResponse{Events: []client.Event{}, OldestRevision: 1}
	if registry == "empty" {
		return h
	}
	if registry == "stranger" {
		registry = "other"
	}
	previous := strings.Repeat("0", 64)
	for n := uint64(1); n <= 5; n++ {
		change := client.Change{EntityID: "component:a", OldVersion: new(fmt.Sprintf("1.0.%d", n-1)), NewVersion: new(fmt.Sprintf("1.0.%d", n)), DisplayName: "A"}
		e := client.Event{
			Revision: n, Kind: "bump", TransactionID: fmt.Sprintf("tx-%d", n), Timestamp: 1763900000000 + int64(n)*1000,
			Actor: "anonymous", Changes: []client.Change{change}, KeyID: client.KeyID([]byte(fakeKey)), HSL: "#9D4EDD",
		}
		if n == 1 {
			e.Kind, e.Changes = "migrate", []client.Change{{EntityID: "component:a", NewVersion: new("1.0.1"), DisplayName: "A"},
				{EntityID: "component:b", NewVersion: new("3.0.0"), DisplayName: "B"}}
		}
		payload, err := json.Marshal(map[string]any{
			"clusterId": "c1", "registryId": registry, "revision": n, "kind": e.Kind, "transactionId": e.TransactionID,
			"timestamp": e.Timestamp, "actor": e.Actor, "request": map[string]any{}, "changes": e.Changes, "previousHash": previous,
		})
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(payload)
		mac := hmac.New(sha256.New, []byte(fakeKey))
		mac.Write(payload)
		previous = hex.EncodeToString(sum[:])
		e.Payload, e.Hash, e.Signature = string(payload), previous, hex.EncodeToString(mac.Sum(nil))
		h.Events = append(h.Events, e)
	}
	h.Revision = 5
	switch registry {
	case "tampered":
		h.Events[2].Changes[0].NewVersion = new("6.6.6")
	case "truncated":
		h.Revision = 9
	case "compacted":
		h.Events, h.OldestRevision = h.Events[2:], 3
	}
	return h
}

// paged is a page of chain, which has two transactions at most.
func paged(registry, after, limit, last string, receipts bool) client.HistoryResponse {
	h := chain(registry)
	from, _ := strconv.ParseUint(cmp.Or(after, "0"), 10, 64)
	most, _ := strconv.Atoi(cmp.Or(last, limit, "1000"))
	h.Events = slices.DeleteFunc(h.Events, func(e client.Event) bool { return e.Revision <= from })
	if last != "" {
		h.Events = h.Events[max(len(h.Events)-most, 0):]
	} else if most = min(most, 2); len(h.Events) > most {
		h.Events = h.Events[:most]
		h.Next = h.Events[most-1].Revision
	}
	if !receipts {
		for i := range h.Events {
			h.Events[i].Payload, h.Events[i].Hash = "", ""
		}
	}
	return h
}

func threeNodes() client.ClusterStatus {
	return client.ClusterStatus{
		ClusterID: "c1", Leader: "n1", Term: 3,
		Nodes: []client.NodeStatus{
			{ID: "n1", Address: "127.0.0.1:9001", HTTPAddress: new("127.0.0.1:8001"), Voter: true, Role: new("leader"), Reachable: true,
				CommitIndex: new(uint64(120)), AppliedIndex: new(uint64(119)), StateHash: new("0123456789abcdef0123456789abcdef")},
			{ID: "n2", Address: "127.0.0.1:9002", Voter: true},
		},
		Connections: []client.Connection{{
			ID: "W1", RegistryID: "r1", RemoteAddress: "127.0.0.1:40001", ConnectedAt: 1_700_000_000_000, LastActivity: 1_700_000_030_000, Revision: 7,
		}},
	}
}
