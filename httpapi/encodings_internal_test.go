package httpapi

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/solo"
)

// TestEncodingsAreKeptWhileTheyAreAskedFor has a registry encoded once a revision, and let go of when nobody
// asks for it.
func TestEncodingsAreKeptWhileTheyAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := solo.New(solo.Config{ClusterID: "c", Registry: "r", Now: time.Now})
		apply := func(op fsm.Op) fsm.Registry {
			result, err := node.Propose(t.Context(), fsm.Command{Registry: "r", Actor: "a", Op: op})
			if err != nil || result.Refusal != nil {
				t.Fatal(err, result.Refusal)
			}
			r, _ := node.View().Registry("r")
			return r
		}
		first := apply(fsm.Migrate{Source: "test", Entities: []fsm.Entity{
			{ID: "a", Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: "A"},
		}})
		second := apply(fsm.Bump{Scope: fsm.Patch, EntityID: "a"})

		x := newEncodings(time.Minute)
		same := func(a, b []byte) bool { return &a[0] == &b[0] }
		kept := x.entities(first)
		if !bytes.Contains(kept, []byte(`"1.0.0"`)) {
			t.Fatalf("got %s", kept)
		}
		for range 5 {
			<-time.After(50 * time.Second) // less than it may be unused
			if !same(kept, x.entities(first)) {
				t.Fatal("it was encoded again, though it was asked for all the time")
			}
		}
		newer := x.entities(second)
		if !bytes.Contains(newer, []byte(`"1.0.1"`)) {
			t.Fatalf("after a bump: got %s", newer)
		}
		if older := x.entities(first); !bytes.Equal(older, kept) {
			t.Fatalf("of the older revision: got %s", older)
		}
		if !same(newer, x.entities(second)) {
			t.Error("an older revision took the place of a newer one")
		}
		<-time.After(61 * time.Second)
		synctest.Wait()
		if len(x.byRegistry) != 0 {
			t.Error("it is kept, though nobody asked for it")
		}
		if again := x.entities(second); same(newer, again) || !bytes.Equal(newer, again) {
			t.Error("it was not encoded again after it was let go of")
		}
		x.close()
		if x.entities(second); len(x.byRegistry) != 0 {
			t.Error("something is kept after the end")
		}
	})
}
