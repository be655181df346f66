package fsm_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

func founding(keep uint64) fsm.Command {
	return fsm.Command{Op: fsm.Genesis{ClusterID: clusterID, RegistryID: defaultRegistry, KeyID: "0123456789abcdef", HistoryKeep: keep}}
}

// TestViewsNeverChange takes a view after each command and looks at all of them again
// in the end, when the machine has long moved on.
func TestViewsNeverChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type picture struct {
			view  fsm.View
			bytes []byte
			dump  string
		}
		var album []picture
		m := fsm.New()
		rapidDice(t).runLog(m, rapid.IntRange(1, 40).Draw(t, "commands"), func(s step, _ fsm.View, _ fsm.Result) {
			if s.command.Op != nil {
				v := m.View()
				album = append(album, picture{v, snapshot(t, v), dump(t, v)})
			}
		})
		for i, p := range album {
			if !bytes.Equal(p.bytes, snapshot(t, p.view)) || p.dump != dump(t, p.view) {
				t.Fatalf("the view after command %d has changed", i)
			}
		}
	})
}

// TestReadersBesideTheWriter has readers take in all of a view, more than once, while
// the machine moves on: they see one state, and the race detector sees no race.
func TestReadersBesideTheWriter(t *testing.T) {
	const readers, rounds = 3, 4
	views := make(chan fsm.View)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for v := range views {
				if err := readAll(v); err != nil {
					t.Error(err)
				}
			}
		})
	}
	m := fsm.New()
	for _, result := range m.Apply(1, fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(300), manyEntities(50)}}) {
		if result.Refusal != nil {
			t.Fatal(result.Refusal)
		}
	}
	throws := seededDice(7)
	for i := range uint64(readers * rounds * 30) {
		var commands []fsm.Command
		for range 4 {
			commands = append(commands, fsm.Command{Registry: defaultRegistry, Key: fmt.Sprint(i, len(commands)), Op: fsm.Bump{Scope: fsm.Patch,
				EntityID: fmt.Sprintf("component:%d", throws(50)), Cascade: true}})
		}
		commands = append(commands, throws.command(m.View()))
		m.Apply(i+2, fsm.Entry{Stamp: int64(i), Commands: commands})
		if i%30 == 0 { // the readers get views that the writer leaves behind at once
			views <- m.View()
		}
	}
	close(views)
	wg.Wait()
}

// manyEntities is a migrate of a global and components linked to it.
func manyEntities(components int) fsm.Command {
	entities := []fsm.Entity{{ID: "global:main", Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: "Main"}}
	for i := range components {
		entities = append(entities, fsm.Entity{ID: fmt.Sprintf("component:%d", i), Type: fsm.TypeComponent, CurrentVersion: "1.0.0",
			UpdateStrategy: fsm.LinkedToParent, ParentVersionID: "global:main", DisplayName: fmt.Sprintf("Component %d", i)})
	}
	return fsm.Command{Registry: defaultRegistry, Actor: "anonymous", Op: fsm.Migrate{Source: "test", Entities: entities}}
}

func readAll(v fsm.View) error {
	var first, second bytes.Buffer
	if _, err := v.WriteTo(&first); err != nil {
		return err
	}
	if _, refusal := v.Plan(fsm.Command{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Minor, Cascade: true}}); refusal != nil {
		return refusal
	}
	for r := range v.Registries() {
		next := r.OldestRevision()
		for tx, err := range r.History(0) {
			if err != nil || tx.Revision != next {
				return fmt.Errorf("revision %d in the place of %d: %w", tx.Revision, next, err)
			}
			next++
		}
		if next != r.Revision()+1 {
			return fmt.Errorf("the history ends at %d, the registry is at %d", next-1, r.Revision())
		}
		for e := range r.Entities("") {
			for tx, err := range r.EntityHistory(e.ID, next-min(next, 50)) {
				if err != nil || tx.Revision > r.Revision() {
					return fmt.Errorf("history of %s at %d: %w", e.ID, tx.Revision, err)
				}
			}
		}
	}
	if _, err := v.WriteTo(&second); err != nil {
		return err
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		return errors.New("two snapshots of one view differ")
	}
	m, err := fsm.Restore(&first)
	if err != nil {
		return err
	}
	if m.View().StateHash() != v.StateHash() {
		return errors.New("the restored machine has another state hash")
	}
	return nil
}
