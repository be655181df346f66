package fsm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
)

// valid is an entity that no rule has anything to say about.
func valid(id, parent string) fsm.Entity {
	e := fsm.Entity{ID: id, Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: id,
		Files: []fsm.File{{Path: "package.json", Pattern: `"version": "(.*)"`}}}
	if parent != "" {
		e.Type, e.UpdateStrategy, e.ParentVersionID = fsm.TypeComponent, fsm.LinkedToParent, parent
	}
	return e
}

func withFile(path, pattern string) fsm.Entity {
	e := valid("a", "")
	e.Files = append(e.Files, fsm.File{Path: path, Pattern: pattern})
	return e
}

func with(e fsm.Entity, change func(e *fsm.Entity)) fsm.Entity {
	change(&e)
	return e
}

// findings writes a report as lines of class, code and entity.
func findings(r fsm.Report) string {
	var lines []string
	for class, all := range map[string][]fsm.Finding{"error": r.Errors, "warning": r.Warnings, "info": r.Info} {
		for _, f := range all {
			lines = append(lines, fmt.Sprintf("%s %s %s", class, f.Code, f.EntityID))
		}
	}
	return strings.Join(lines, ", ")
}

func TestValidate(t *testing.T) {
	root, a, b := valid("root", ""), valid("a", "root"), valid("b", "a")
	apiScope := func(e *fsm.Entity) { e.Type = fsm.TypeAPIScope }
	cliTool := func(e *fsm.Entity) { e.Type = fsm.TypeCLITool }
	for name, row := range map[string]struct {
		entities []fsm.Entity
		want     string
	}{
		"nothing to say":        {[]fsm.Entity{b, a, root}, ""},
		"no entities":           {nil, "error NO_ENTITIES "},
		"twice":                 {[]fsm.Entity{root, a, a}, "error DUPLICATE_ID a"},
		"no such parent":        {[]fsm.Entity{root, b}, "error MISSING_PARENT b"},
		"own parent":            {[]fsm.Entity{valid("a", "a")}, "error CYCLE a"},
		"a cycle":               {[]fsm.Entity{root, valid("x", "z"), valid("y", "x"), valid("z", "y"), valid("below", "y")}, "error CYCLE x"},
		"a cycle, independent":  {[]fsm.Entity{with(valid("x", "y"), func(e *fsm.Entity) { e.UpdateStrategy = fsm.Independent }), valid("y", "x")}, "error CYCLE x"},
		"two cycles":            {[]fsm.Entity{valid("d", "c"), valid("c", "d"), valid("a", "b"), valid("b", "a")}, "error CYCLE c, error CYCLE a"},
		"linked to nothing":     {[]fsm.Entity{with(root, func(e *fsm.Entity) { e.UpdateStrategy = fsm.LinkedToParent })}, "error NO_PARENT root"},
		"no version":            {[]fsm.Entity{with(root, func(e *fsm.Entity) { e.CurrentVersion = "" })}, "error BAD_VERSION root"},
		"a bad version":         {[]fsm.Entity{with(root, func(e *fsm.Entity) { e.CurrentVersion = "1.2.x" })}, "error BAD_VERSION root"},
		"a bad default version": {[]fsm.Entity{with(root, func(e *fsm.Entity) { e.Files = []fsm.File{{Path: "a", Pattern: "(a)", DefaultVersion: "x"}} })}, "error BAD_VERSION root"},
		"a lenient version":     {[]fsm.Entity{with(root, func(e *fsm.Entity) { e.CurrentVersion = "v1.0" })}, "info NOT_STRICT_SEMVER root"},
		"a bad pattern":         {[]fsm.Entity{withFile("a", "(")}, "error BAD_PATTERN a"},
		"not RE2":               {[]fsm.Entity{withFile("a", `(?=look)(ahead)`)}, "error BAD_PATTERN a"},
		"a pattern, no group":   {[]fsm.Entity{withFile("a", `\d+`)}, "info NO_GROUP a"},
		"a group not capturing": {[]fsm.Entity{withFile("a", `(?:\d+)`)}, "info NO_GROUP a"},
		"absolute":              {[]fsm.Entity{withFile("/etc/passwd", "(a)")}, "error BAD_PATH a"},
		"absolute elsewhere":    {[]fsm.Entity{withFile(`C:\a`, "(a)")}, "error BAD_PATH a"},
		"a drive's own place":   {[]fsm.Entity{withFile(`c:a`, "(a)")}, "error BAD_PATH a"},
		"a share":               {[]fsm.Entity{withFile(`\\host\a`, "(a)")}, "error BAD_PATH a"},
		"out of the root":       {[]fsm.Entity{withFile("../a", "(a)")}, "error BAD_PATH a"},
		"out and in again":      {[]fsm.Entity{withFile("a/../../root/b", "(a)")}, "error BAD_PATH a"},
		"out, the other way":    {[]fsm.Entity{withFile(`a\..\..\b`, "(a)")}, "error BAD_PATH a"},
		"a path with a NUL":     {[]fsm.Entity{withFile("a\x00b", "(a)")}, "error BAD_PATH a"},
		"dots that stay inside": {[]fsm.Entity{withFile("./a/../b/...", "(a)")}, ""},
		"a chain to no global":  {[]fsm.Entity{with(root, func(e *fsm.Entity) { e.Type = fsm.TypeDocumentation }), a}, "warning NO_GLOBAL_ANCESTOR a"},
		"no parent, no chain":   {[]fsm.Entity{with(root, func(e *fsm.Entity) { e.Type = fsm.TypeComponent })}, ""},
		"no prefix":             {[]fsm.Entity{root, with(a, apiScope)}, "warning NO_ENDPOINT_PREFIX a"},
		"a prefix":              {[]fsm.Entity{root, with(a, func(e *fsm.Entity) { apiScope(e); e.APIEndpointPrefix = "/api" })}, ""},
		"no command":            {[]fsm.Entity{root, with(a, cliTool)}, "warning NO_COMMAND_NAME a"},
		"a command":             {[]fsm.Entity{root, with(a, func(e *fsm.Entity) { cliTool(e); e.CLICommandName = "a" })}, ""},
	} {
		r := fsm.Validate(row.entities)
		if got := findings(r); got != row.want || r.Valid() != !strings.Contains(row.want, "error") {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestValidateEntityLooksAtOneOnly has the ingress of a put refuse what the machine
// does not look at, and leave to the machine what needs the others.
func TestValidateEntityLooksAtOneOnly(t *testing.T) {
	for want, e := range map[string]fsm.Entity{
		"":                     valid("a", "nobody"),
		"error BAD_VERSION a":  with(valid("a", ""), func(e *fsm.Entity) { e.CurrentVersion = "x" }),
		"error BAD_PATTERN a":  withFile("a", "("),
		"error BAD_PATH a":     withFile("..", "(a)"),
		"info NO_GROUP a":      withFile("a", "a"),
		"error BAD_VERSION a ": with(withFile("a", "(a)"), func(e *fsm.Entity) { e.Files[1].DefaultVersion = "latest" }),
	} {
		r := fsm.ValidateEntity(&e)
		if got := findings(r); got != strings.TrimSuffix(want, " ") {
			t.Errorf("%q, want %q", got, want)
		}
	}
	absent := with(valid("a", ""), func(e *fsm.Entity) { e.CurrentVersion = "" })
	if r := fsm.ValidateEntity(&absent); !r.Valid() {
		t.Error("a put may leave the version out:", r.Errors)
	}
}

// TestLongCycle keeps the message readable.
func TestLongCycle(t *testing.T) {
	var entities []fsm.Entity
	for i := range 10_000 {
		entities = append(entities, valid(fmt.Sprint("e", i), fmt.Sprint("e", (i+1)%10_000)))
	}
	r := fsm.Validate(entities)
	if len(r.Errors) != 1 || r.Errors[0].Code != fsm.FindingCycle || len(r.Errors[0].Message) > 400 {
		t.Errorf("%d errors, first %+v", len(r.Errors), r.Errors[0])
	}
}

func TestShape(t *testing.T) {
	long := strings.Repeat("x", fsm.MaxText+1)
	for name, row := range map[string]struct {
		change func(e *fsm.Entity)
		path   string
	}{
		"nothing":           {func(e *fsm.Entity) {}, ""},
		"no version":        {func(e *fsm.Entity) { e.CurrentVersion = "" }, ""},
		"no name":           {func(e *fsm.Entity) { e.DisplayName = "" }, ""},
		"text at its limit": {func(e *fsm.Entity) { e.Description = long[1:] }, ""},
		"id":                {func(e *fsm.Entity) { e.ID = "a b" }, "id"},
		"type":              {func(e *fsm.Entity) { e.Type = "Global" }, "type"},
		"strategy":          {func(e *fsm.Entity) { e.UpdateStrategy = "" }, "updateStrategy"},
		"parent":            {func(e *fsm.Entity) { e.ParentVersionID = "a/" }, "parentVersionId"},
		"version":           {func(e *fsm.Entity) { e.CurrentVersion = long }, "currentVersion"},
		"name":              {func(e *fsm.Entity) { e.DisplayName = "\xff" }, "displayName"},
		"description":       {func(e *fsm.Entity) { e.Description = long }, "description"},
		"prefix":            {func(e *fsm.Entity) { e.APIEndpointPrefix = long }, "apiEndpointPrefix"},
		"command":           {func(e *fsm.Entity) { e.CLICommandName = "\xc3" }, "cliCommandName"},
		"files":             {func(e *fsm.Entity) { e.Files = make([]fsm.File, fsm.MaxFiles+1) }, "files"},
		"path":              {func(e *fsm.Entity) { e.Files = []fsm.File{{Path: "p"}, {}} }, "files[1].path"},
		"pattern":           {func(e *fsm.Entity) { e.Files = []fsm.File{{Path: "p", Pattern: long[:fsm.MaxPattern+1]}} }, "files[0].pattern"},
		"replacement":       {func(e *fsm.Entity) { e.Files = []fsm.File{{Path: "p", Replacement: long}} }, "files[0].replacement"},
		"file description":  {func(e *fsm.Entity) { e.Files = []fsm.File{{Path: "p", Description: "\x80"}} }, "files[0].description"},
		"default version":   {func(e *fsm.Entity) { e.Files = []fsm.File{{Path: "p", DefaultVersion: long}} }, "files[0].defaultVersion"},
	} {
		e := with(valid("a", ""), row.change)
		problems := e.Check()
		if row.path == "" && problems != nil || row.path != "" && (len(problems) != 1 || problems[0].Path != row.path || problems[0].Message == "") {
			t.Errorf("%s: %v, want one at %q", name, problems, row.path)
		}
	}
}

func TestIDs(t *testing.T) {
	for id, fine := range map[string]bool{
		"global:main": true, "api:glossary:v2.1": true, "@babel/core": true, "a": true, "a/b/c": true, "...": true, "a/.b": true, "-": true,
		"~+_": true, strings.Repeat("x", 256): true,
		"": false, strings.Repeat("x", 257): false, "/": false, "a/": false, "/a": false, "a//b": false, ".": false, "..": false, "a/.": false,
		"../a": false, "a b": false, "a\x00": false, "é": false, "a%2f": false, "a\\b": false,
	} {
		if err := fsm.CheckEntityID(id); (err == nil) != fine {
			t.Errorf("entity id %q: %v", id, err)
		}
	}
	for id, fine := range map[string]bool{
		"tes-registry-v1": true, "a": true, "9._-": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "-a": false, ".a": false, "_a": false, "a/b": false, "a:b": false, "é": false, "a ": false,
	} {
		if err := fsm.CheckRegistryID(id); (err == nil) != fine {
			t.Errorf("registry id %q: %v", id, err)
		}
	}
}

// TestValidateLongChain validates the deepest registry there may be, which must not take
// longer than a broad one.
func TestValidateLongChain(t *testing.T) {
	entities := make([]fsm.Entity, fsm.MaxEntities)
	for i := range entities {
		entities[i] = fsm.Entity{ID: fmt.Sprintf("e%d", i), Type: fsm.TypeComponent, CurrentVersion: "1.0.0",
			UpdateStrategy: fsm.LinkedToParent, ParentVersionID: fmt.Sprintf("e%d", i+1), DisplayName: "E"}
	}
	last := &entities[len(entities)-1]
	last.ParentVersionID, last.UpdateStrategy = "", fsm.Independent
	if r := fsm.Validate(entities); !r.Valid() || len(r.Warnings) != len(entities)-1 {
		t.Errorf("%d errors, %d warnings", len(r.Errors), len(r.Warnings))
	}
	last.ParentVersionID = "nobody" // chains that do not end warn of nothing
	entities[0].Files = []fsm.File{{Path: "/a", Pattern: "("}}
	if r := fsm.Validate(entities); len(r.Errors) != 3 || r.Errors[0].EntityID != "e0" || len(r.Warnings) != 0 {
		t.Errorf("%v, %d warnings", r.Errors, len(r.Warnings))
	}
}
