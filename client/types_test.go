package client_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tesd/tesd/client"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	entity = client.Entity{
		ID: "api:glossary:v2.1", Type: "api-scope", CurrentVersion: "2.1.02", UpdateStrategy: "linked-to-parent",
		ParentVersionID: "global:main",
		Files: []client.File{
			{Path: "a.json", Pattern: `"v": "(.*)"`, Replacement: `"v": "{version}"`, Description: "d", DefaultVersion: "1.0.0", Required: true},
			{Path: "b", Pattern: "p", Replacement: "r", Description: ""},
		},
		DisplayInUI: true, DisplayName: "Glossary", Description: "d", APIEndpointPrefix: "/g", CLICommandName: "g",
	}
	bare    = client.Entity{ID: "a", Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", Files: []client.File{}, DisplayName: "A"}
	change  = client.Change{EntityID: "a", OldVersion: new("1.0.0"), NewVersion: new("1.0.1"), DisplayName: "A"}
	created = client.Change{EntityID: "a", NewVersion: new("1.0.0"), DisplayName: "A"}
	deleted = client.Change{EntityID: "a", OldVersion: new("1.0.0"), DisplayName: "A"}
	finding = client.Finding{Code: "MISSING_PARENT", EntityID: "a", Message: "m"}
)

// wireTypes has every type of the wire full and, where that differs, with all that is optional left out.
var wireTypes = map[string]any{
	"entity":      entity,
	"entity-bare": bare,
	"bump-request": client.BumpRequest{
		Scope: client.Minor, EntityID: "a", DryRun: true, Cascade: new(false), ExpectedVersion: "1.0.0", Reason: "r",
	},
	"bump-request-bare": client.BumpRequest{Scope: client.Patch},
	"bump-response": client.BumpResponse{
		Success: true, RegistryID: "r", Revision: 7, TransactionID: "t", Bumped: []client.Entity{bare},
		Changes: []client.Change{change}, Signature: "s", KeyID: "k", Timestamp: 1763900000000, HSL: "#9D4EDD",
	},
	"bump-response-dry-run": client.BumpResponse{
		Success: true, DryRun: true, RegistryID: "r", Revision: 7, Bumped: []client.Entity{}, Changes: []client.Change{}, HSL: "#9D4EDD",
	},
	"batch-request": client.BatchRequest{Requests: []client.BumpRequest{{Scope: client.Major}}, DryRun: true},
	"batch-response": client.BatchResponse{
		Success: true, RegistryID: "r", Revision: 7, TransactionID: "t",
		Results:   []client.BatchResult{{Bumped: []client.Entity{bare}, Changes: []client.Change{change}}},
		Signature: "s", KeyID: "k", Timestamp: 1763900000000, HSL: "#9D4EDD",
	},
	"batch-response-dry-run": client.BatchResponse{
		Success: true, DryRun: true, RegistryID: "r", Revision: 7, Results: []client.BatchResult{}, HSL: "#9D4EDD",
	},
	"registry": client.RegistryResponse{
		RegistryID: "r", Revision: 7, Lifecycle: "RUNNING", Entities: []client.Entity{bare}, HSL: "#9D4EDD",
	},
	"entity-response": client.EntityResponse{Entity: bare, Revision: 7},
	"history": client.HistoryResponse{
		Events: []client.Event{{
			Revision: 1, Kind: "put", TransactionID: "t", Timestamp: 1763900000000, Actor: "anonymous",
			Changes: []client.Change{created, deleted}, Signature: "s", KeyID: "k", HSL: "#9D4EDD", Payload: "{}", Hash: "h",
		}},
		Revision: 9, OldestRevision: 1, Next: 1,
	},
	"history-bare": client.HistoryResponse{
		Events:   []client.Event{{Revision: 1, Kind: "batch", Changes: []client.Change{}}},
		Revision: 1, OldestRevision: 1,
	},
	"receipt":         client.Receipt{RegistryID: "r", Revision: 7, Payload: "{}", Hash: "h", Signature: "s", KeyID: "k"},
	"migrate-request": client.MigrateRequest{Source: "file:registry.json", Entities: []client.Entity{bare}},
	"migrate-response": client.MigrateResponse{
		Migrated: true, RegistryID: "r", Revision: 1, EntitiesMigrated: 1,
		Validation: &client.Validation{
			Valid: true, Errors: []client.Finding{}, Warnings: []client.Finding{finding}, Info: []client.Finding{},
		},
		TransactionID: "t", Timestamp: 1763900000000, Signature: "s", KeyID: "k",
	},
	"migrate-response-bare": client.MigrateResponse{RegistryID: "r", Revision: 4},
	"health": client.Health{
		Status: "healthy", Lifecycle: "RUNNING", ThreadID: "0x6001", RegistryID: "r", Revision: 7, Node: "n1",
		Role: "leader", ClusterID: "c", HSL: "#9D4EDD",
	},
	"cluster": client.ClusterStatus{
		ClusterID: "c", Leader: "n1", Term: 3,
		Nodes: []client.NodeStatus{
			{
				ID: "n1", Address: "127.0.0.1:9001", HTTPAddress: new("127.0.0.1:8001"), Voter: true, Role: new("leader"),
				Reachable: true, CommitIndex: new(uint64(9)), AppliedIndex: new(uint64(8)), StateHash: new("h"),
			},
			{ID: "n2", Address: "127.0.0.1:9002", Voter: true},
		},
		Connections: []client.Connection{
			{ID: "x", RegistryID: "r", RemoteAddress: "127.0.0.1:5000", ConnectedAt: 1, LastActivity: 2, Revision: 7},
		},
	},
	"error": client.ErrorResponse{Error: client.ErrorBody{
		Code: client.CodeRegistryInvalid, Message: "m",
		Context: client.ErrorContext{Domain: "VERSION_MANAGEMENT", Scope: "HTTP", Operation: "migrate", EntityID: "a", RequestID: "q"},
		Details: []client.Detail{{Path: "entities[0]", Message: "m"}},
		Validation: &client.Validation{
			Errors: []client.Finding{finding}, Warnings: []client.Finding{}, Info: []client.Finding{},
		},
		Outcome: client.OutcomeRejected, HSL: "#FF0000",
	}},
	"error-bare": client.ErrorResponse{Error: client.ErrorBody{Code: client.CodeNoLeader, Outcome: client.OutcomeNotApplied}},
}

// TestWire holds every type of the wire to testdata, one file each. Both of the packages that encode them
// must give the same, that of the standard library and the one that the server uses.
func TestWire(t *testing.T) {
	for name, value := range wireTypes {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", "wire", name+".json")
			var indented bytes.Buffer
			encoder := json.NewEncoder(&indented)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(value); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(golden, indented.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), indented.String()); diff != "" {
				t.Errorf("encoded (-want +got):\n%s", diff)
			}
			decoded := reflect.New(reflect.TypeOf(value))
			if err := json.Unmarshal(want, decoded.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value, decoded.Elem().Interface()); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
			v1, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			v2, err := jsonv2.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(v1), string(v2)); diff != "" {
				t.Errorf("encoded (-v1 +v2):\n%s", diff)
			}
		})
	}
}

func TestValidationHasNoNull(t *testing.T) {
	for name, marshal := range map[string]func(any) ([]byte, error){
		"v1": json.Marshal,
		"v2": func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
	} {
		got, err := marshal(&client.Validation{Valid: true})
		if err != nil || strings.Contains(string(got), "null") {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}
