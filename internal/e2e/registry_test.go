package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
)

// realRegistry names the variable that has the path of a registry of 41 entities from a
// real product, which is not part of the project.
const realRegistry = "TESD_TEST_REAL_REGISTRY"

// run runs the command and fails the test unless it exits with 0.
func run(t *testing.T, c *e2e.Cluster, args ...string) string {
	t.Helper()
	out, code := c.Run(args...)
	if code != 0 {
		t.Fatalf("tesd %v: exit code %d\n%s", args, code, out)
	}
	return out
}

// decode reads a command's JSON output.
func decode[T any](t *testing.T, out string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("output is not JSON: %v\n%s", err, out)
	}
	return v
}

func TestRealRegistry(t *testing.T) {
	registry := os.Getenv(realRegistry)
	if registry == "" {
		t.Skipf("the registry of a real product is not part of the project; %s names it", realRegistry)
	}
	c := e2e.New(t, binary)
	imported := decode[client.MigrateResponse](t, run(t, c, "migrate", registry, "-o", "json"))
	if v := imported.Validation; imported.EntitiesMigrated != 41 || len(v.Errors) != 0 || len(v.Warnings) != 0 || len(v.Info) != 10 {
		t.Errorf("imported %d entities with %d errors, %d warnings and %d infos, want 41, 0, 0 and 10",
			imported.EntitiesMigrated, len(v.Errors), len(v.Warnings), len(v.Info))
	}
	for _, want := range []struct {
		entity string
		moves  int
	}{{"global:main", 35}, {"global:api-version", 4}, {"component:betting-glossary", 5}, {"component:tension-api", 3}, {"--all", 41}} {
		plan := decode[client.BumpResponse](t, run(t, c, "bump", "patch", want.entity, "--dry-run", "-o", "json"))
		if len(plan.Changes) != want.moves {
			t.Errorf("a patch of %s would move %d entities, want %d", want.entity, len(plan.Changes), want.moves)
		}
		bump := decode[client.BumpResponse](t, run(t, c, "bump", "patch", want.entity, "-o", "json"))
		if diff := cmp.Diff(plan.Changes, bump.Changes); diff != "" {
			t.Errorf("%s: the plan differs from the bump:\n%s", want.entity, diff)
		}
	}
	first := decode[client.HistoryResponse](t, run(t, c, "history", "component:spline-api", "-o", "json")).Events
	glossary := decode[client.HistoryResponse](t, run(t, c, "history", "component:betting-glossary", "-o", "json")).Events
	for _, want := range []struct {
		event    client.Event
		id       string
		old, new string
	}{{first[1], "component:spline-api", "1.0", "1.0.1"}, {glossary[1], "component:betting-glossary", "2.1.02", "2.1.3"}} {
		for _, change := range want.event.Changes {
			if change.EntityID == want.id && (*change.OldVersion != want.old || *change.NewVersion != want.new) {
				t.Errorf("%s went from %s to %s, want from %s to %s", want.id, *change.OldVersion, *change.NewVersion, want.old, want.new)
			}
		}
	}
	run(t, c, "verify", "--history")
	c.Status()
}

// TestExportImports moves a registry to another cluster and back out again.
func TestExportImports(t *testing.T) {
	from, to := e2e.New(t, binary, "--registry-file", example), e2e.New(t, binary)
	run(t, from, "bump", "minor", "--all")
	file := filepath.Join(t.TempDir(), "export.json")
	if err := os.WriteFile(file, []byte(run(t, from, "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, to, "validate", file)
	run(t, to, "migrate", file)
	type export struct {
		RegistryID string            `json:"registryId"`
		Entities   []json.RawMessage `json:"entities"`
	}
	if diff := cmp.Diff(decode[export](t, run(t, from, "export")), decode[export](t, run(t, to, "export"))); diff != "" {
		t.Errorf("the export of the copy differs:\n%s", diff)
	}
}
