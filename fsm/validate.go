package fsm

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The codes of findings.
const (
	FindingDuplicateID   = "DUPLICATE_ID"       // error: an id stands twice
	FindingMissingParent = "MISSING_PARENT"     // error: parentVersionId names no entity
	FindingCycle         = "CYCLE"              // error: an entity is its own ancestor
	FindingNoParent      = "NO_PARENT"          // error: linked-to-parent without a parent
	FindingBadVersion    = "BAD_VERSION"        // error: a version that cannot be read
	FindingBadPattern    = "BAD_PATTERN"        // error: a pattern that does not compile
	FindingBadPath       = "BAD_PATH"           // error: a path that is absolute or leaves the root
	FindingEmpty         = "NO_ENTITIES"        // error: a registry to import has no entities
	FindingNoGlobal      = "NO_GLOBAL_ANCESTOR" // warning: a chain that ends at no global
	FindingNoPrefix      = "NO_ENDPOINT_PREFIX" // warning: api-scope without apiEndpointPrefix
	FindingNoCommand     = "NO_COMMAND_NAME"    // warning: cli-tool without cliCommandName
	FindingNoGroup       = "NO_GROUP"           // info: a pattern without a group
	FindingNotStrict     = "NOT_STRICT_SEMVER"  // info: a version that is not strict SemVer
)

// Finding is one thing that validation has to say about an entity.
type Finding struct{ Code, EntityID, Message string }

// Report is the outcome of a validation. Only errors make a registry invalid.
type Report struct{ Errors, Warnings, Info []Finding }

// Valid reports whether there are no errors.
func (r *Report) Valid() bool { return len(r.Errors) == 0 }

func (r *Report) fail(code, id, format string, args ...any) {
	r.Errors = append(r.Errors, Finding{code, id, fmt.Sprintf(format, args...)})
}

func (r *Report) warn(code, id, format string, args ...any) {
	r.Warnings = append(r.Warnings, Finding{code, id, fmt.Sprintf(format, args...)})
}

func (r *Report) inform(code, id, format string, args ...any) {
	r.Info = append(r.Info, Finding{code, id, fmt.Sprintf(format, args...)})
}

// Validate holds a whole registry against the rules for content. Findings stand in
// the order of the entities. It depends on what the toolchain's regexp accepts and
// so belongs to the ingress, before the log; the machine itself re-checks what this
// package's own code decides. It takes time in proportion to the registry.
func Validate(entities []Entity) Report {
	var r Report
	if len(entities) == 0 {
		r.fail(FindingEmpty, "", "there are no entities to import")
	}
	byID := r.checkStructure(entities)
	for i := range entities {
		e := &entities[i]
		r.checkPatterns(e)
		if _, err := ParseVersion(e.CurrentVersion); err == nil && !IsStrict(e.CurrentVersion) {
			r.inform(FindingNotStrict, e.ID, "version %q is not strict SemVer; the first bump makes it so", e.CurrentVersion)
		}
		switch {
		case e.Type == TypeAPIScope && e.APIEndpointPrefix == "":
			r.warn(FindingNoPrefix, e.ID, "an api-scope has no apiEndpointPrefix")
		case e.Type == TypeCLITool && e.CLICommandName == "":
			r.warn(FindingNoCommand, e.ID, "a cli-tool has no cliCommandName")
		}
	}
	roots := rootsOf(entities, byID)
	for i := range entities {
		e := &entities[i]
		if root := roots[e.ID]; e.ParentVersionID != "" && root != nil && root.Type != TypeGlobal {
			r.warn(FindingNoGlobal, e.ID, "its chain of parents ends at %q, which is no global", root.ID)
		}
	}
	r.sort(entities)
	return r
}

// sort puts the findings in the order of the entities.
func (r *Report) sort(entities []Entity) {
	place := make(map[string]int, len(entities))
	for i := range entities {
		place[entities[i].ID] = i
	}
	for _, list := range [][]Finding{r.Errors, r.Warnings, r.Info} {
		slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(place[a.EntityID], place[b.EntityID]) })
	}
}

// ValidateEntity holds one entity against the rules that need no other entity.
// Like [Validate] it belongs to the ingress.
func ValidateEntity(e *Entity) Report {
	var r Report
	if e.CurrentVersion != "" {
		r.checkVersion(e)
	}
	r.checkFiles(e)
	r.checkPatterns(e)
	return r
}

// rootsOf returns where the chain of parents of each entity ends, by its id: nil for one
// that ends at a parent that is missing, or not at all. Each chain is walked once.
func rootsOf(entities []Entity, byID map[string]*Entity) map[string]*Entity {
	roots := make(map[string]*Entity, len(entities))
	var path []string
	for i := range entities {
		path = path[:0]
		at := &entities[i]
		root, known := roots[at.ID]
		for !known && at != nil {
			roots[at.ID] = nil // who comes here again on this walk goes round in a circle
			path = append(path, at.ID)
			if at.ParentVersionID == "" {
				root = at
				break
			}
			if at = byID[at.ParentVersionID]; at != nil {
				root, known = roots[at.ID]
			}
		}
		for _, id := range path {
			roots[id] = root
		}
	}
	return roots
}

// checkStructure reports what this package's own code decides: ids, parents, cycles,
// versions and paths. It returns the entities by id.
func (r *Report) checkStructure(entities []Entity) map[string]*Entity {
	byID := make(map[string]*Entity, len(entities))
	for i := range entities {
		e := &entities[i]
		if byID[e.ID] != nil {
			r.fail(FindingDuplicateID, e.ID, "the id stands more than once")
			continue
		}
		byID[e.ID] = e
	}
	for i := range entities {
		e := &entities[i]
		r.checkVersion(e)
		r.checkLink(e)
		r.checkFiles(e)
		if e.ParentVersionID != "" && byID[e.ParentVersionID] == nil {
			r.fail(FindingMissingParent, e.ID, "parent %q does not exist", e.ParentVersionID)
		}
	}
	r.checkCycles(entities, byID)
	return byID
}

func (r *Report) checkVersion(e *Entity) {
	if _, err := ParseVersion(e.CurrentVersion); err != nil {
		r.fail(FindingBadVersion, e.ID, "%v", err)
	}
}

func (r *Report) checkLink(e *Entity) {
	if e.UpdateStrategy == LinkedToParent && e.ParentVersionID == "" {
		r.fail(FindingNoParent, e.ID, "it is linked to a parent but names none")
	}
}

// checkCycles walks each chain of parents once. A cycle is reported once, at its
// smallest id, with the whole loop in the message.
func (r *Report) checkCycles(entities []Entity, byID map[string]*Entity) {
	walk := make(map[string]int, len(entities)) // id -> number of the walk that first saw it
	for i := range entities {
		e := &entities[i]
		for e != nil && walk[e.ID] == 0 {
			walk[e.ID] = i + 1
			e = byID[e.ParentVersionID]
		}
		if e == nil || walk[e.ID] != i+1 {
			continue
		}
		loop := []string{e.ID}
		for at := byID[e.ParentVersionID]; at.ID != e.ID; at = byID[at.ParentVersionID] {
			loop = append(loop, at.ID)
		}
		first := slices.Index(loop, slices.Min(loop))
		loop = append(loop[first:], loop[:first]...)
		r.fail(FindingCycle, loop[0], "it is its own ancestor: %s", loopText(loop))
	}
}

func loopText(loop []string) string {
	const most = 16
	if len(loop) > most {
		return fmt.Sprintf("%s → … (%d entities)", strings.Join(loop[:most], " → "), len(loop))
	}
	return strings.Join(append(slices.Clone(loop), loop[0]), " → ")
}

// checkFiles reports on an entity's files what this package's own code decides.
func (r *Report) checkFiles(e *Entity) {
	for i := range e.Files {
		f := &e.Files[i]
		if reason := pathFault(f.Path); reason != "" {
			r.fail(FindingBadPath, e.ID, "files[%d].path %s %s", i, quoteShort(f.Path), reason)
		}
		if f.DefaultVersion != "" {
			if _, err := ParseVersion(f.DefaultVersion); err != nil {
				r.fail(FindingBadVersion, e.ID, "files[%d].defaultVersion: %v", i, err)
			}
		}
	}
}

// checkPatterns reports on an entity's files what the toolchain decides.
func (r *Report) checkPatterns(e *Entity) {
	for i := range e.Files {
		f := &e.Files[i]
		re, err := regexp.Compile(f.Pattern)
		if err != nil {
			r.fail(FindingBadPattern, e.ID, "files[%d].pattern: %v", i, err)
		} else if re.NumSubexp() == 0 {
			r.inform(FindingNoGroup, e.ID, "files[%d].pattern %s has no group for the version", i, quoteShort(f.Pattern))
		}
	}
}

// pathFault says why a path is not one below the project's root, on any system.
func pathFault(path string) string {
	if strings.ContainsRune(path, 0) {
		return "has a NUL character"
	}
	path = strings.ReplaceAll(path, `\`, "/")
	drive := len(path) >= 2 && path[1] == ':' && isAlnum(path[0])
	if strings.HasPrefix(path, "/") || drive {
		return "is absolute"
	}
	depth := 0
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return "leaves the root"
		}
	}
	return ""
}
