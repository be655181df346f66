package fsm_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tesd/tesd/fsm"
)

func (s *stage) print(format string, args ...any) {
	fmt.Fprintf(&s.out, format+"\n", args...)
}

// answer prints the result of a command.
func (s *stage) answer(result fsm.Result) {
	replayed := ""
	if result.Replayed {
		replayed = "replayed: "
	}
	switch {
	case result.Refusal != nil:
		s.refusal(replayed, result.Refusal)
	case result.Transaction != nil:
		s.print("%srevision %d: %s%s", replayed, result.Revision, result.Transaction.Kind, elsewhere(result.Registry))
		s.changes(result.Transaction.Changes, result.Transaction.Items)
		s.checkEntities(result.Transaction.Changes, result.Entities)
	case result.Registry == "":
		s.print("done")
	default:
		s.print("%snothing to do, revision %d", replayed, result.Revision)
	}
}

func elsewhere(registry string) string {
	if registry == defaultRegistry {
		return ""
	}
	return " in " + registry
}

func (s *stage) refusal(replayed string, r *fsm.Refusal) {
	item := ""
	if r.Item >= 0 {
		item = fmt.Sprintf(", request %d of the batch", r.Item)
	}
	s.print("%srefused %s%s: %v", replayed, r.Code, item, r)
	for i := 1; i < len(r.Problems); i++ {
		s.print("  and %s: %s", r.Problems[i].Path, r.Problems[i].Message)
	}
	for _, f := range r.Findings {
		s.print("  %s %s: %s", f.Code, f.EntityID, f.Message)
	}
}

// changes prints what moved; of a batch, with an empty line's worth between requests.
func (s *stage) changes(changes []fsm.Change, items []int) {
	for i := 0; len(changes) > 0; i++ {
		count := len(changes)
		if items != nil {
			count = items[i]
			s.print("  request %d", i)
		}
		for _, c := range changes[:count] {
			s.print("  %s %s → %s", c.EntityID, orNone(c.OldVersion), orNone(c.NewVersion))
		}
		changes = changes[count:]
	}
}

func orNone(version string) string {
	if version == "" {
		return "none"
	}
	return version
}

// checkEntities holds the entities of an answer to its changes.
func (s *stage) checkEntities(changes []fsm.Change, entities []fsm.Entity) {
	if entities == nil {
		return
	}
	for i, c := range changes {
		if entities[i].ID != c.EntityID || entities[i].CurrentVersion != c.NewVersion {
			s.print("  but the answer has %s at %s", entities[i].ID, entities[i].CurrentVersion)
		}
	}
}

func (s *stage) plan(c fsm.Command) {
	before := s.machine.View().StateHash()
	plan, refusal := s.machine.View().Plan(c)
	if refusal != nil {
		s.refusal("", refusal)
	} else {
		s.print("at revision %d this would be", plan.Revision)
		s.changes(plan.Changes, plan.Items)
		s.checkEntities(plan.Changes, plan.Entities)
	}
	if s.machine.View().StateHash() != before {
		s.print("the plan has changed the state")
	}
}

// tell prints something of the state.
func (s *stage) tell(what string) {
	view := s.machine.View()
	id := s.registry()
	r, ok := view.Registry(id)
	switch {
	case what == "keys":
		s.print("%d", view.Keys())
	case what == "registries":
		for r := range view.Registries() {
			s.print("%s revision %d, %d entities", r.ID(), r.Revision(), r.Len())
		}
	case !ok:
		s.print("there is no registry %s", id)
	case what == "show":
		s.print("revision %d, %d entities", r.Revision(), r.Len())
		for e := range r.Entities("") {
			s.print("  %s", describe(e))
		}
	case what == "receipt":
		tx, err := r.Transaction(s.number(s.next()))
		if err != nil {
			s.print("%v", err)
			return
		}
		s.print("%s", tx.Payload())
		s.print("hash %x", tx.Hash)
	case what == "history":
		s.history(r)
	}
}

func describe(e fsm.Entity) string {
	words := []string{e.ID, e.CurrentVersion}
	if e.UpdateStrategy == fsm.LinkedToParent {
		words = append(words, "linked-to-parent", e.ParentVersionID)
	} else if e.ParentVersionID != "" {
		words = append(words, "independent below", e.ParentVersionID)
	}
	if e.DisplayName != "The "+e.ID {
		words = append(words, "named", strconv.Quote(e.DisplayName))
	}
	return strings.Join(words, " ")
}

func (s *stage) history(r fsm.Registry) {
	var after uint64
	if word, ok := s.named("after"); ok {
		after = s.number(word)
	}
	events := r.History(after)
	if len(s.words) > 0 {
		events = r.EntityHistory(s.next(), after)
	}
	if oldest := r.OldestRevision(); oldest > 1 {
		s.print("kept from revision %d on", oldest)
	}
	for tx, err := range events {
		if err != nil {
			s.t.Fatal(err)
		}
		s.print("revision %d: %s by %s at +%v", tx.Revision, tx.Kind, tx.Actor, time.Duration(tx.Timestamp-scriptStart)*time.Millisecond)
		s.changes(tx.Changes, tx.Items)
	}
}
