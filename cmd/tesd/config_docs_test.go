package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the table of settings in docs") // immutable: set by the command line

// TestConfigurationDocs holds the table in docs/configuration.md to the table in the code.
func TestConfigurationDocs(t *testing.T) {
	const path, begin, end = "../../docs/configuration.md", "<!-- settings -->\n", "<!-- end of settings -->\n"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(raw), begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no place for the table", path)
	}
	want := before + begin + settingsTable() + end + after
	if want == string(raw) {
		return
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the table in %s is not that of the code; run this test with -rewrite", path)
}

func settingsTable() string {
	var b strings.Builder
	b.WriteString("| setting | value | default | what it is |\n| --- | --- | --- | --- |\n")
	for _, s := range append(settings(), configSetting()) {
		standard := "`" + s.standard + "`"
		switch {
		case s.required:
			standard = "required"
		case s.standard == "":
			standard = "none"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, strings.ReplaceAll(s.kind, "|", " or "), standard, s.help)
	}
	return b.String()
}
