package httpapi

import (
	"os"
	"strings"
	"testing"
)

// TestReferenceIsComplete holds docs/api.md to the routes and codes that are served.
func TestReferenceIsComplete(t *testing.T) {
	raw, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	reference := string(raw)
	for _, r := range routes() {
		if want := r.method + " " + strings.ReplaceAll(r.pattern, "...}", "}"); !strings.Contains(reference, want) {
			t.Errorf("docs/api.md does not tell of %s", want)
		}
	}
	for code := range kinds {
		if !strings.Contains(reference, "`"+string(code)+"`") {
			t.Errorf("docs/api.md does not tell of %s", code)
		}
	}
}
