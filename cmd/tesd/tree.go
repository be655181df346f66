package main

import "github.com/tesd/tesd/client"

// tree writes what moved as a tree: each entity below the parent that moved with it,
// siblings in the order in which they came.
func (p *page) tree(bumped []client.Entity, changes []client.Change) {
	t := cascade{
		changes:  make(map[string]client.Change, len(changes)),
		children: make(map[string][]string),
		drawn:    make(map[string]bool, len(bumped)),
	}
	for _, c := range changes {
		t.changes[c.EntityID] = c
	}
	moved := make(map[string]bool, len(bumped))
	for _, e := range bumped {
		moved[e.ID] = true
	}
	var roots []string
	for _, e := range bumped {
		if moved[e.ParentVersionID] {
			t.children[e.ParentVersionID] = append(t.children[e.ParentVersionID], e.ID)
		} else {
			roots = append(roots, e.ID)
		}
	}
	for _, id := range roots {
		t.draw(id, "", "")
	}
	p.table(nil, t.rows)
}

// cascade is a tree being drawn.
type cascade struct {
	changes  map[string]client.Change
	children map[string][]string // ids of those that moved, by the id of their parent
	drawn    map[string]bool
	rows     [][]string
}

// draw adds an entity and all below it. The entity's own line begins with branch, and
// those below it with stem.
func (t *cascade) draw(id, branch, stem string) {
	if t.drawn[id] { // a tree has no such thing, but an answer might
		return
	}
	t.drawn[id] = true
	c := t.changes[id]
	t.rows = append(t.rows, []string{branch + id, deref(c.OldVersion), "→", deref(c.NewVersion)})
	below := t.children[id]
	for i, child := range below {
		if i == len(below)-1 {
			t.draw(child, stem+"└─ ", stem+"   ")
		} else {
			t.draw(child, stem+"├─ ", stem+"│  ")
		}
	}
}
