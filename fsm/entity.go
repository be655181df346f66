package fsm

import (
	"fmt"
	"strings"
)

// Limits on what one request or registry may hold. They are part of the format:
// every node of a cluster must have the same ones.
const (
	MaxEntities   = 100_000   // entities of a registry
	MaxIDs        = 1_000_000 // ids that a registry knows, those of deleted entities among them
	MaxRegistries = 1_000     // registries of a cluster
	MaxBatch      = 256       // requests of a batch
	MaxFiles      = 64        // files of an entity
	MaxText       = 4 << 10   // bytes of a text field
	MaxPattern    = 512       // bytes of a file's pattern
	MaxReason     = 1 << 10   // bytes of a bump's reason
	MaxEntityID   = 256       // bytes of an entity's id
	MaxRegistryID = 64        // bytes of a registry's id
	MaxKey        = 255       // bytes of an idempotency key
)

// EntityType says what kind of thing an entity is.
type EntityType string

// The types of an entity.
const (
	TypeGlobal        EntityType = "global"
	TypeComponent     EntityType = "component"
	TypeAPIScope      EntityType = "api-scope"
	TypeCLITool       EntityType = "cli-tool"
	TypeDocumentation EntityType = "documentation"
)

// Valid reports whether t is one of the five types.
func (t EntityType) Valid() bool {
	switch t {
	case TypeGlobal, TypeComponent, TypeAPIScope, TypeCLITool, TypeDocumentation:
		return true
	}
	return false
}

// Strategy says whether an entity moves with its parent.
type Strategy string

// The update strategies of an entity.
const (
	LinkedToParent Strategy = "linked-to-parent" // moves when its parent moves
	Independent    Strategy = "independent"      // stays, and so does everything below it
)

// Valid reports whether s is one of the two strategies.
func (s Strategy) Valid() bool { return s == LinkedToParent || s == Independent }

// File is a place where an entity's version is written down.
type File struct {
	Path           string // relative to the project's root
	Pattern        string // RE2; its first group is the version
	Replacement    string
	Description    string
	DefaultVersion string // optional
	Required       bool
}

// Entity is one thing with a version. Optional strings are empty when absent.
// Entities given out by this package share their Files: treat them as read-only.
type Entity struct {
	ID                string
	Type              EntityType
	CurrentVersion    string // as given until the first bump, strict SemVer after it
	UpdateStrategy    Strategy
	ParentVersionID   string // optional
	Files             []File
	DisplayInUI       bool
	DisplayName       string
	Description       string // optional
	APIEndpointPrefix string // optional
	CLICommandName    string // optional
}

// AppendJSON appends the entity as canonical JSON (RFC 8785), absent fields left out.
func (e *Entity) AppendJSON(dst []byte) []byte {
	return e.appendJSON(dst, true)
}

// appendJSON leaves the version out on request: it is the one part that moves.
func (e *Entity) appendJSON(dst []byte, withVersion bool) []byte {
	o := openObject(dst)
	o.optional("apiEndpointPrefix", e.APIEndpointPrefix)
	o.optional("cliCommandName", e.CLICommandName)
	if withVersion {
		o.optional("currentVersion", e.CurrentVersion)
	}
	o.optional("description", e.Description)
	o.bool("displayInUi", e.DisplayInUI)
	o.string("displayName", e.DisplayName)
	o.name("files")
	o.dst = appendArray(o.dst, len(e.Files), func(dst []byte, i int) []byte { return e.Files[i].appendJSON(dst) })
	o.string("id", e.ID)
	o.optional("parentVersionId", e.ParentVersionID)
	o.string("type", string(e.Type))
	o.string("updateStrategy", string(e.UpdateStrategy))
	return o.close()
}

func (f *File) appendJSON(dst []byte) []byte {
	o := openObject(dst)
	o.optional("defaultVersion", f.DefaultVersion)
	o.string("description", f.Description)
	o.string("path", f.Path)
	o.string("pattern", f.Pattern)
	o.string("replacement", f.Replacement)
	if f.Required {
		o.bool("required", true)
	}
	return o.close()
}

// Problem is a fault in the shape of a request: where it is and what it is.
type Problem struct {
	Path    string // like "files[2].pattern"
	Message string
}

// Check returns the faults in the entity's shape: ids outside the grammar, unknown
// types and strategies, text that is too long or not UTF-8. What the values mean
// to each other is the business of [Validate]. An empty CurrentVersion is in shape:
// a put may leave it out.
func (e *Entity) Check() []Problem {
	c := checker{}
	c.err("id", CheckEntityID(e.ID))
	if !e.Type.Valid() {
		c.add("type", "%s is not global, component, api-scope, cli-tool or documentation", quoteShort(string(e.Type)))
	}
	if !e.UpdateStrategy.Valid() {
		c.add("updateStrategy", "%s is not linked-to-parent or independent", quoteShort(string(e.UpdateStrategy)))
	}
	if e.ParentVersionID != "" {
		c.err("parentVersionId", CheckEntityID(e.ParentVersionID))
	}
	c.text("currentVersion", e.CurrentVersion, MaxText)
	c.text("displayName", e.DisplayName, MaxText)
	c.text("description", e.Description, MaxText)
	c.text("apiEndpointPrefix", e.APIEndpointPrefix, MaxText)
	c.text("cliCommandName", e.CLICommandName, MaxText)
	if len(e.Files) > MaxFiles {
		c.add("files", "has %d files, the limit is %d", len(e.Files), MaxFiles)
		return c.problems
	}
	for i := range e.Files {
		f := &e.Files[i]
		file := checker{}
		if f.Path == "" {
			file.add("path", "is empty")
		}
		file.text("path", f.Path, MaxText)
		file.text("pattern", f.Pattern, MaxPattern)
		file.text("replacement", f.Replacement, MaxText)
		file.text("description", f.Description, MaxText)
		file.text("defaultVersion", f.DefaultVersion, MaxText)
		for _, p := range file.problems {
			c.add(fmt.Sprintf("files[%d].%s", i, p.Path), "%s", p.Message)
		}
	}
	return c.problems
}

// checker collects problems.
type checker struct{ problems []Problem }

func (c *checker) add(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{path, fmt.Sprintf(format, args...)})
}

func (c *checker) err(path string, err error) {
	if err != nil {
		c.problems = append(c.problems, Problem{path, err.Error()})
	}
}

func (c *checker) text(path, s string, most int) {
	if len(s) > most {
		c.add(path, "has %d bytes, the limit is %d", len(s), most)
	} else if !validText(s) {
		c.add(path, "is not valid UTF-8")
	}
}

// CheckEntityID says what is wrong with an entity id: it has 1 to 256 characters
// of A-Z a-z 0-9 @ : . _ ~ + - / and no part between slashes is empty, "." or "..".
func CheckEntityID(id string) error {
	if id == "" {
		return fmt.Errorf("an entity id is empty")
	}
	if len(id) > MaxEntityID {
		return fmt.Errorf("an entity id of %d characters, the limit is %d", len(id), MaxEntityID)
	}
	for i := 0; i < len(id); i++ {
		if !isAlnum(id[i]) && strings.IndexByte("@:._~+-/", id[i]) < 0 {
			return fmt.Errorf("entity id %s has a character outside A-Z a-z 0-9 @ : . _ ~ + - /", quoteShort(id))
		}
	}
	for part := range strings.SplitSeq(id, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("entity id %s has an empty, \".\" or \"..\" part", quoteShort(id))
		}
	}
	return nil
}

// CheckRegistryID says what is wrong with a registry id: it has 1 to 64 characters
// of A-Z a-z 0-9 . _ - and the first is a letter or digit.
func CheckRegistryID(id string) error {
	if id == "" {
		return fmt.Errorf("a registry id is empty")
	}
	if len(id) > MaxRegistryID {
		return fmt.Errorf("a registry id of %d characters, the limit is %d", len(id), MaxRegistryID)
	}
	for i := 0; i < len(id); i++ {
		if !isAlnum(id[i]) && (i == 0 || strings.IndexByte("._-", id[i]) < 0) {
			return fmt.Errorf("registry id %s is not letters, digits, and after the first character . _ -", quoteShort(id))
		}
	}
	return nil
}

// CheckKey says what is wrong with an idempotency key: it has 1 to 255 printable
// ASCII characters.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("an idempotency key of %d characters, it must have 1 to %d", len(key), MaxKey)
	}
	for i := 0; i < len(key); i++ {
		if key[i] < 0x20 || key[i] > 0x7e {
			return fmt.Errorf("idempotency key %s has a character that is not printable ASCII", quoteShort(key))
		}
	}
	return nil
}
