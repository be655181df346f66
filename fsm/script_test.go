package fsm_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rewrite makes tests write what they got to testdata, instead of comparing it. Read
// the difference before you commit it.
var rewrite = flag.Bool("rewrite", false, "rewrite the expected outputs in testdata")

// TestScripts runs the scripts in testdata. A script is a sequence of blocks: lines of
// directives, a line "----", and what they print, up to an empty line. Lines between
// blocks are comments. script_command_test.go says what directives there are.
//
// Each script runs twice. The second time, the machine is thrown away and restored
// from a snapshot after each directive, and nothing may be different.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts:", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			blocks := readScript(t, string(text))
			got := runScript(t, blocks, false)
			if d := diff(strings.Split(got, "\n"), strings.Split(runScript(t, blocks, true), "\n")); d != "" {
				t.Errorf("restored after each directive (+), the script goes otherwise:\n%s", d)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := diff(strings.Split(string(text), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("script (-) and machine (+) differ; if the machine is right, run with -rewrite:\n%s", d)
			}
		})
	}
}

// block is a comment or, with a line at least, directives. Lines that are indented
// belong to the directive above them.
type block struct {
	comment    string
	directives [][]string
}

const scriptRule = "----"

func readScript(t *testing.T, text string) (blocks []block) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for len(lines) > 0 {
		line := lines[0]
		if line == "" || strings.HasPrefix(line, "#") {
			blocks = append(blocks, block{comment: line})
			lines = lines[1:]
			continue
		}
		var b block
		for ; len(lines) > 0 && lines[0] != scriptRule; lines = lines[1:] {
			switch {
			case lines[0] == "":
				t.Fatalf("the block of %q has no %s", line, scriptRule)
			case strings.HasPrefix(lines[0], " "):
				last := len(b.directives) - 1
				b.directives[last] = append(b.directives[last], strings.TrimSpace(lines[0]))
			default:
				b.directives = append(b.directives, []string{lines[0]})
			}
		}
		for len(lines) > 0 && lines[0] != "" { // the output of last time
			lines = lines[1:]
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// runScript runs the directives and returns the script with their outputs.
func runScript(t *testing.T, blocks []block, restoreEachTime bool) string {
	s := newStage(t)
	var out strings.Builder
	for _, b := range blocks {
		if b.directives == nil {
			out.WriteString(b.comment + "\n")
			continue
		}
		s.out.Reset()
		for _, d := range b.directives {
			out.WriteString(strings.Join(d, "\n  ") + "\n")
			s.run(d)
			if restoreEachTime {
				s.machine = restore(t, snapshot(t, s.machine.View()))
			}
		}
		out.WriteString(scriptRule + "\n" + s.out.String())
	}
	return out.String()
}
