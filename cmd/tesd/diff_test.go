package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/client"
)

// TestEveryFieldIsCompared: what differs in all there is differs in every field.
func TestEveryFieldIsCompared(t *testing.T) {
	full := client.Entity{
		ID: "a", Type: "t", CurrentVersion: "v", UpdateStrategy: "u", ParentVersionID: "p",
		Files:       []client.File{{Path: "p", Pattern: "t", Replacement: "r", Description: "d", DefaultVersion: "v", Required: true}},
		DisplayInUI: true, DisplayName: "n", Description: "d", APIEndpointPrefix: "x", CLICommandName: "c",
	}
	var fields []string
	for _, f := range compare([]client.Entity{full}, []client.Entity{{ID: "a"}}).Changed[0].Fields {
		fields = append(fields, f.Field)
	}
	want := []string{
		"type", "currentVersion", "updateStrategy", "parentVersionId",
		"files[0].path", "files[0].pattern", "files[0].replacement", "files[0].description", "files[0].defaultVersion", "files[0].required",
		"displayInUi", "displayName", "description", "apiEndpointPrefix", "cliCommandName",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("other fields differ (-want +got):\n%s", diff)
	}
}
