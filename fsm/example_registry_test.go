package fsm_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/tesd/tesd/fsm"
)

// exampleRegistry is a registry as a team really had it. It lies beside the
// repository, not in it.
const exampleRegistry = "../../shared/data/tes-version-registry.json"

func readExample(t *testing.T) []fsm.Entity {
	b, err := os.ReadFile(exampleRegistry)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the example registry is not at %s: it is no part of the repository", exampleRegistry)
	}
	if err != nil {
		t.Fatal(err)
	}
	var wire []struct {
		ID, Type, CurrentVersion, UpdateStrategy, ParentVersionID string
		DisplayName, Description, APIEndpointPrefix               string
		CLICommandName                                            string
		DisplayInUI                                               bool
		Files                                                     []struct {
			Path, Pattern, Replacement, Description, DefaultVersion string
			Required                                                bool
		}
	}
	if err := json.Unmarshal(b, &wire); err != nil {
		t.Fatal(err)
	}
	entities := make([]fsm.Entity, len(wire))
	for i, w := range wire {
		entities[i] = fsm.Entity{ID: w.ID, Type: fsm.EntityType(w.Type), CurrentVersion: w.CurrentVersion,
			UpdateStrategy: fsm.Strategy(w.UpdateStrategy), ParentVersionID: w.ParentVersionID, DisplayInUI: w.DisplayInUI,
			DisplayName: w.DisplayName, Description: w.Description, APIEndpointPrefix: w.APIEndpointPrefix, CLICommandName: w.CLICommandName}
		for _, f := range w.Files {
			entities[i].Files = append(entities[i].Files, fsm.File(f))
		}
	}
	return entities
}

func TestExampleRegistry(t *testing.T) {
	entities := readExample(t)
	report := fsm.Validate(entities)
	if !report.Valid() || len(report.Info) == 0 || len(entities) != 41 {
		t.Fatalf("%d entities, errors %v, info %v", len(entities), report.Errors, report.Info)
	}
	lenient := 0
	for _, f := range report.Info {
		if f.Code == fsm.FindingNotStrict {
			lenient++
		}
	}
	if lenient == 0 {
		t.Error("no version is told to be lenient:", report.Info)
	}
	m := fsm.New()
	result := apply(m, founding(0), fsm.Command{Registry: defaultRegistry, Op: fsm.Migrate{Source: "file:example", Entities: entities}})[1]
	if result.Refusal != nil || result.Revision != 1 || len(result.Transaction.Changes) != 41 {
		t.Fatal(result.Refusal)
	}
	for id, want := range map[string]int{"global:main": 35, "global:api-version": 4, "component:betting-glossary": 5, "component:tension-api": 3, "": 41} {
		plan, refusal := m.View().Plan(fsm.Command{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Patch, EntityID: id, Cascade: true}})
		if refusal != nil || len(plan.Changes) != want {
			t.Errorf("a bump of %q moves %d, want %d, %v", id, len(plan.Changes), want, refusal)
		}
		for _, c := range plan.Changes {
			old, err := fsm.ParseVersion(c.OldVersion)
			next, _ := fsm.ParseVersion(c.NewVersion)
			if err != nil || !fsm.IsStrict(c.NewVersion) || next.Compare(old) <= 0 {
				t.Errorf("%s moves from %q to %q", c.EntityID, c.OldVersion, c.NewVersion)
			}
		}
	}
	moved := make(map[string]string)
	for _, c := range apply(m, fsm.Command{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Patch, Cascade: true}})[0].Transaction.Changes {
		moved[c.EntityID] = c.OldVersion + " → " + c.NewVersion
	}
	if got := moved["component:betting-glossary"]; got != "2.1.02 → 2.1.3" {
		t.Error("the glossary moves", got)
	}
	for _, e := range entities {
		if e.CurrentVersion == "1.0" && moved[e.ID] != "1.0 → 1.0.1" {
			t.Errorf("%s moves %s", e.ID, moved[e.ID])
		}
	}
}
