package bumpcheck

import (
	"fmt"
	"slices"

	"github.com/tesd/tesd/internal/watchcheck"
)

// model is a registry as simple as it can be. It is written from the contract, not from the
// state machine.
type model struct {
	entities map[string]*Entity
	linked   map[string][]string // by parent, the children that move with it, by id
}

func newModel(seed []Entity) *model {
	m := &model{entities: make(map[string]*Entity), linked: make(map[string][]string)}
	for _, e := range seed {
		m.set(e)
	}
	return m
}

func (m *model) set(e Entity) {
	m.unset(e.ID)
	m.entities[e.ID] = &e
	if e.Linked {
		children := append(m.linked[e.Parent], e.ID)
		slices.Sort(children)
		m.linked[e.Parent] = children
	}
}

func (m *model) unset(id string) {
	if old := m.entities[id]; old != nil && old.Linked {
		m.linked[old.Parent] = slices.DeleteFunc(m.linked[old.Parent], func(child string) bool { return child == id })
	}
	delete(m.entities, id)
}

// apply carries a request out and returns what must have changed. The error says why it should
// have been refused.
func (m *model) apply(r *Request) (changes []watchcheck.Change, err error) {
	switch {
	case r.Put != nil:
		e, old := *r.Put, ""
		if known := m.entities[e.ID]; known != nil {
			old, e.Version = known.Version, known.Version
		}
		m.set(e)
		return []watchcheck.Change{{EntityID: e.ID, OldVersion: old, NewVersion: e.Version, DisplayName: e.Name}}, nil
	case r.Delete != "":
		e := m.entities[r.Delete]
		if e == nil {
			return nil, fmt.Errorf("there is no %s to delete", r.Delete)
		}
		m.unset(e.ID)
		return []watchcheck.Change{{EntityID: e.ID, OldVersion: e.Version, DisplayName: e.Name}}, nil
	}
	for _, b := range r.Bumps {
		e := m.entities[b.Entity]
		if e == nil {
			return nil, fmt.Errorf("there is no %s to bump", b.Entity)
		}
		if b.Expected != "" && b.Expected != e.Version {
			return nil, fmt.Errorf("%s is at %s, not at the %s that was expected", e.ID, e.Version, b.Expected)
		}
		changes = m.bump(changes, e, b)
	}
	return changes, nil
}

// bump moves an entity and, in a cascade, what is linked below it: parents before children,
// siblings by id.
func (m *model) bump(changes []watchcheck.Change, e *Entity, b Bump) []watchcheck.Change {
	old := e.Version
	e.Version = next(old, b.Scope)
	changes = append(changes, watchcheck.Change{EntityID: e.ID, OldVersion: old, NewVersion: e.Version, DisplayName: e.Name})
	if b.Cascade {
		for _, child := range m.linked[e.ID] {
			changes = m.bump(changes, m.entities[child], b)
		}
	}
	return changes
}

// next raises a version of three numbers.
func next(version string, scope uint8) string {
	var n [3]uint64
	part := 0
	for i := range len(version) {
		if version[i] == '.' {
			part++
			continue
		}
		n[part] = 10*n[part] + uint64(version[i]-'0')
	}
	n[scope-1]++
	for i := scope; i < 3; i++ {
		n[i] = 0
	}
	return fmt.Sprintf("%d.%d.%d", n[0], n[1], n[2])
}
