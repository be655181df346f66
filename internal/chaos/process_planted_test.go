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

// ownModule is that of the command.
const ownModule = "github.com/tesd/tesd"

// TestPlantedInProcesses has the harness find mistakes of the command itself: each is built with one line
// changed, and let suffer for some seconds.
func TestPlantedInProcesses(t *testing.T) {
	if !*plantedProcesses {
		t.Skip("it builds the command five times; scripts/chaos bumps --processes --planted runs it")
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
			"the key of a repeat is forgotten", ownModule, "fsm/machine.go",
			"if k, ok := m.findKey(name); ok {", "if k, ok := m.findKey(name); ok && m.index%4 > 0 {", stopped, []string{"once: "},
		},
		{
			"an entity is left out of a cascade", ownModule, "fsm/cascade.go",
			"func(s *slot) { p.plan.slots = append(p.plan.slots, s) })",
			`func(s *slot) { if s.def.ID != "api:a" || p.r.revision%8 > 0 { p.plan.slots = append(p.plan.slots, s) } })`,
			stopped, []string{"sequential: "},
		},
		{
			"a node does not ask the leader before it reads", ownModule, "cluster/read.go",
			"index, err = n.readIndex(ctx)\n\tcase o.MaxStale", "index = 0\n\tcase o.MaxStale", stopped, []string{"ordered: "},
		},
		{
			"an entry counts as committed when the leader has it", "github.com/hashicorp/raft", "commitment.go",
			"quorumMatchIndex := matched[(len(matched)-1)/2]", "quorumMatchIndex := matched[len(matched)-1]",
			"stopped|all killed", []string{"kept: ", "on the disks of ", "is not the same on the disks", "state hashes differ", "differs from that of the others"},
		},
		{
			"what is carried out is told as not applied, which a repeat under a key sets right", ownModule, "httpapi/call.go",
			"if result.Replayed {", "if t := result.Transaction; t != nil && !result.Replayed && t.Revision > 1 && t.Revision%8 == 0 {\n" +
				"return fsm.Result{}, cluster.ErrNoLeader\n}\nif result.Replayed {",
			stopped, []string{"unapplied: "},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			binary, err := e2e.Build(t.TempDir(), changed(t, test.module, test.file, test.old, test.new)...)
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

// changed returns the flags that have go build take a file of a module with another line in it.
func changed(t *testing.T, module, file, old, new string) []string {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module, ownModule)
	dirs, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(dirs))
	dir, own := fields[0], fields[len(fields)-1]
	source, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), old); n != 1 {
		t.Fatalf("%s of %s has %q %d times, not once", file, module, old, n)
	}
	temp := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(temp, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := strings.Replace(string(source), old, new, 1)
	if dir == own {
		replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, file): write("changed.go", with)}})
		if err != nil {
			t.Fatal(err)
		}
		return []string{"-overlay", write("overlay.json", string(replace))}
	}
	// An overlay is for no file of other modules: they are replaced as a whole.
	if err := os.CopyFS(filepath.Join(temp, "module"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(temp, "module", file), 0o600); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join("module", file), with)
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(own, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			content = fmt.Appendf(content, "\nreplace %s => %s\n", module, filepath.Join(temp, "module"))
		}
		write(name, string(content))
	}
	return []string{"-modfile", filepath.Join(temp, "go.mod")}
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
