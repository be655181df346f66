package main

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/client"
)

// known returns the entity of fleet that has this id, nil if none has it.
func known(id string) *client.Entity {
	entities := fleet()
	if i := slices.IndexFunc(entities, func(e client.Entity) bool { return e.ID == id }); i >= 0 {
		return &entities[i]
	}
	return nil
}

// entity returns the entity that the fake shows under an id: one of fleet, by default the
// first. The minor version of component:rising is how often it was read.
func (f *fake) entity(id string) client.Entity {
	e := fleet()[0]
	if found := known(id); found != nil {
		e = *found
	}
	if id == "component:rising" {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.rise++
		e.ID, e.CurrentVersion = id, fmt.Sprintf("v1.%d", f.rise)
	}
	return e
}

// put is what a put into fleet comes to.
func put(registry string, entity client.Entity) client.EntityWriteResponse {
	old := known(entity.ID)
	if old == nil {
		return written(registry, &entity, client.Change{EntityID: entity.ID, NewVersion: &entity.CurrentVersion, DisplayName: entity.DisplayName})
	}
	if entity.CurrentVersion == "" {
		entity.CurrentVersion = old.CurrentVersion
	}
	if cmp.Equal(*old, entity) {
		return client.EntityWriteResponse{Success: true, RegistryID: registry, Revision: 7, Entity: old, Changes: []client.Change{}, HSL: "#9D4EDD"}
	}
	return written(registry, &entity, client.Change{EntityID: entity.ID, OldVersion: &old.CurrentVersion,
		NewVersion: &entity.CurrentVersion, DisplayName: entity.DisplayName})
}

// deleted is what it comes to when an entity of fleet is deleted.
func deleted(registry, id string) client.EntityWriteResponse {
	old := known(id)
	return written(registry, nil, client.Change{EntityID: id, OldVersion: &old.CurrentVersion, DisplayName: old.DisplayName})
}

func written(registry string, entity *client.Entity, change client.Change) client.EntityWriteResponse {
	return client.EntityWriteResponse{
		Success: true, RegistryID: registry, Revision: 8, TransactionID: "tx-8", Entity: entity, Changes: []client.Change{change},
		Signature: "5160", KeyID: client.KeyID([]byte(fakeKey)), Timestamp: 1763900000000, HSL: "#9D4EDD",
	}
}
