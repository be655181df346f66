package chaos_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/e2e"
)

var plantedProcesses = flag.Bool("chaos.planted", false, "have mistakes found that are planted in the command")

// TestPlantedInProcesses has the harness find mistakes of the command itself: each is built with one line
// changed, and let suffer for some seconds.
func TestPlantedInProcesses(t *testing.T) {
	if !*plantedProcesses {
		t.Skip("it builds the command four times; scripts/chaos bumps --processes --planted runs it")
	}
	const budget = 15 * time.Second
	stopped := "stopped|killed"
	tests := []struct {
		name     string
		module   string // whose file it is
		file     string
		old, new string
		only     string   // faults
		finds    []string // what is said, one of these
	}{
		{
			"the key of a repeat is forgotten", "github.com/tesd/tesd", "fsm/machine.go",
			"if k, ok := m.findKey(name); ok {", "if k, ok := m.findKey(name); ok && m.index%4 > 0 {", stopped, []string{"once: "},
		},
		{
			"an entity is left out of a cascade", "github.com/tesd/tesd", "fsm/cascade.go",
			"func(s *slot) { p.plan.slots = append(p.plan.slots, s) })",
			`func(s *slot) { if s.def.ID != "api:a" || p.r.revision%8 > 0 { p.plan.slots = append(p.plan.slots, s) } })`,
			stopped, []string{"sequential: "},
		},
		{
			"a node does not ask the leader before it reads", "github.com/tesd/tesd", "cluster/read.go",
			"index, err = n.readIndex(ctx)\n\tcase o.MaxStale", "index = 0\n\tcase o.MaxStale", stopped, []string{"ordered: "},
		},
		{
			"an entry counts as committed when the leader has it", "github.com/hashicorp/raft", "commitment.go",
			"quorumMatchIndex := matched[(len(matched)-1)/2]", "quorumMatchIndex := matched[len(matched)-1]",
			stopped, []string{"kept: ", "on the disks of ", "state hashes differ", "is not the same on the disks"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			binary, err := e2e.Build(t.TempDir(), "-overlay", overlay(t, test.module, test.file, test.old, test.new))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			said := sufferWith(t, binary, test.only, budget)
			for _, what := range test.finds {
				if _, found, ok := strings.Cut(said, what); ok {
					found, _, _ = strings.Cut(found, "\n")
					t.Logf("found in %v: %s%s", time.Since(began).Round(time.Second), what, found)
					return
				}
			}
			t.Errorf("the mistake is not found; the run said:\n%s", said)
		})
	}
}

// overlay is what has go build take a file of a module as if it had another line.
func overlay(t *testing.T, module, file, old, new string) (path string) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(dir)), file)
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), old); n != 1 {
		t.Fatalf("%s has %q %d times, not once", original, old, n)
	}
	changed := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sufferWith has two clusters of a command suffer from some faults, in a process of its own, which is to
// fail, and returns what that said.
func sufferWith(t *testing.T, binary, only string, budget time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), budget+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestBumpProcesses$", "-test.v", "-chaos.clusters=2", "-chaos.operations=1",
		"-chaos.binary="+binary, "-chaos.only="+only, fmt.Sprint("-chaos.minutes=", budget.Minutes()))
	said, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("it went well")
	}
	return string(said)
}
