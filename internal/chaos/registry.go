package chaos

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/clustertest"
)

// cold is how many entities there are that hardly anyone bumps.
const cold = 40

// entities is the registry of a run with bumps: the few of clustertest, which move together and
// which everyone bumps, and many that move alone.
func entities() []fsm.Entity {
	all := clustertest.Entities()
	for i := range cold {
		all = append(all, fsm.Entity{
			ID: fmt.Sprintf("documentation:%02d", i), Type: fsm.TypeDocumentation, CurrentVersion: "1.0.0",
			UpdateStrategy: fsm.Independent, ParentVersionID: "component:b", DisplayName: "cold",
		})
	}
	return all
}

// seeded is what the checker knows of the entities that a registry begins with.
func seeded() (all []bumpcheck.Entity) {
	for _, e := range entities() {
		all = append(all, entityOf(&e))
	}
	return all
}

func entityOf(e *fsm.Entity) bumpcheck.Entity {
	return bumpcheck.Entity{
		ID: e.ID, Version: e.CurrentVersion, Name: e.DisplayName, Parent: e.ParentVersionID,
		Linked: e.UpdateStrategy == fsm.LinkedToParent,
	}
}

// nameOf returns the name of the request that a transaction came of, by its actor and the
// request in normal form. Those who speak to nodes directly say it as the actor, others in what
// they write; what is deleted is deleted once.
func nameOf(actor string, normal []byte) string {
	if actor != anonymous {
		return actor
	}
	var request struct {
		Reason      string
		DisplayName string
		EntityID    string
		Requests    []struct{ Reason string }
	}
	if err := json.Unmarshal(normal, &request); err != nil {
		return "unreadable: " + err.Error()
	}
	for _, r := range request.Requests {
		request.Reason = r.Reason
	}
	switch {
	case request.Reason != "":
		name, _, _ := strings.Cut(request.Reason, " ")
		return name
	case request.DisplayName != "":
		return request.DisplayName
	}
	return deletion(request.EntityID)
}

// deletion is the name of the request over HTTP that deletes an entity.
func deletion(entity string) string { return "delete " + entity }

// anonymous is the actor of requests over HTTP.
const anonymous = "anonymous"
