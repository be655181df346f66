package httpapi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
)

// maxPage is how many things a page holds at most.
const maxPage = 1000

// serveRead answers a read of a registry: parse reads the parameters that are the
// route's own, and render makes the answer from the registry as it is.
func serveRead[P any](c *call, parse func(*query) P, render func(fsm.Registry, P) (*answer, error)) (*answer, error) {
	var f intake.Faults
	q := newQuery(c.r.URL.RawQuery, &f)
	options := q.readOptions()
	params := parse(q)
	q.finish()
	if err := faulty(&f); err != nil {
		return nil, err
	}
	view, err := c.read(options)
	if err != nil {
		return nil, err
	}
	r, ok := view.Registry(c.registry)
	if !ok {
		return nil, unknownRegistry(c.registry)
	}
	a, err := render(r, params)
	if err == nil {
		c.stamp(r.Revision())
	}
	return a, err
}

func unknownRegistry(id string) error {
	return &failure{code: client.CodeRegistryNotFound, message: fmt.Sprintf("registry %q does not exist", id)}
}

func unknownEntity(id, registry string) error {
	return &failure{
		code: client.CodeEntityNotFound, entityID: id,
		message: fmt.Sprintf("entity %q does not exist in registry %q", id, registry),
	}
}

// filter says which entities of a registry to answer.
type filter struct {
	kind        fsm.EntityType // "" for any
	parent      string         // "" for any
	displayInUI *bool          // nil for any
	text        string         // in lower case, somewhere in the id, the name or the description
	after       string
	limit       int // 0 for all
}

func parseFilter(q *query) filter {
	var p filter
	kind, _ := q.checked("type", checkType)
	p.kind = fsm.EntityType(kind)
	p.parent, _ = q.checked("parent", fsm.CheckEntityID)
	if show, given := q.bool("displayInUi"); given {
		p.displayInUI = &show
	}
	text, _ := q.text("q")
	p.text = strings.ToLower(text)
	p.after, _ = q.checked("after", fsm.CheckEntityID)
	p.limit = q.count("limit")
	return p
}

func checkType(s string) error {
	if !fsm.EntityType(s).Valid() {
		return errors.New("must be global, component, api-scope, cli-tool or documentation")
	}
	return nil
}

func (p *filter) admits(e *fsm.Entity) bool {
	contains := func(s string) bool { return strings.Contains(strings.ToLower(s), p.text) }
	return (p.kind == "" || e.Type == p.kind) &&
		(p.parent == "" || e.ParentVersionID == p.parent) &&
		(p.displayInUI == nil || e.DisplayInUI == *p.displayInUI) &&
		(p.text == "" || contains(e.ID) || contains(e.DisplayName) || contains(e.Description))
}

// registry answers the entities of a registry. It writes the body by itself, with
// the entities in canonical form: of the answers that can be large it is the one that
// is asked for most.
func (s *Server) registry(c *call) (*answer, error) {
	return serveRead(c, parseFilter, func(r fsm.Registry, p filter) (*answer, error) {
		if c.ifNoneMatch(r.Revision()) {
			return notModified(), nil
		}
		if p == (filter{}) {
			return &answer{body: s.encodings.registry(r, s.lifecycle(r))}, nil
		}
		entities, next := p.entities(r)
		return &answer{body: encodeRegistry(r, s.lifecycle(r), entities, next)}, nil
	})
}

// encodeRegistry returns the answer that has some of a registry's entities, encoded.
func encodeRegistry(r fsm.Registry, lifecycle string, entities []byte, next string) []byte {
	b := make([]byte, 0, len(entities)+256)
	b = append(b, `{"registryId":"`+r.ID()+`","revision":`...)
	b = strconv.AppendUint(b, r.Revision(), 10)
	b = append(b, `,"lifecycle":"`+lifecycle+`","entities":`...)
	b = append(b, entities...)
	b = append(b, `,"hsl":"`+hslSuccess+`"`...)
	if next != "" { // an id needs no escapes
		b = append(b, `,"next":"`+next+`"`...)
	}
	return append(b, '}')
}

// entities returns those that the filter admits, as a JSON array, and the id behind which the next
// page begins; "" if there is none.
func (p *filter) entities(r fsm.Registry) (b []byte, next string) {
	b = append(b, '[')
	n, last := 0, ""
	for e := range r.Entities(p.after) {
		if !p.admits(&e) {
			continue
		}
		if n++; p.limit > 0 && n > p.limit {
			next = last
			break
		}
		if n > 1 {
			b = append(b, ',')
		}
		b, last = e.AppendJSON(b), e.ID
	}
	return append(b, ']'), next
}
