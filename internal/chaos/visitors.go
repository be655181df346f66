package chaos

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/watchcheck"
)

// Visitors are users over HTTP of a cluster that the test knows from outside alone. They do
// what those of [RunBumps] do.
type Visitors struct{ crowd *crowd }

// Visit has so many users at work, each of whom waits up to think between two requests. One in four has no
// idempotency keys and sends each write once: of what broke off meanwhile it never knows what came. The
// registry must have come of [Migration]. Whoever calls it calls [Visitors.End].
func (w *World) Visit(seed uint64, users int, think time.Duration) (*Visitors, error) {
	v := &Visitors{&crowd{w: w, unit: 500 * time.Millisecond, think: think, keyed: true, seldom: 32, reads: 3}}
	if err := v.crowd.gather(seed, 0, users); err != nil {
		v.crowd.disperse()
		return nil, err
	}
	return v, nil
}

// Acknowledged returns how many writes were acknowledged so far.
func (v *Visitors) Acknowledged() int64 { return v.crowd.acked.Load() }

// Operations returns how many reads and writes came to an end so far.
func (v *Visitors) Operations() int64 { return v.crowd.done.Load() }

// End stops the users once what they have under way is answered, and returns all that they did.
// It is called once.
func (v *Visitors) End() *bumpcheck.Record { return v.crowd.end() }

// Migration is the registry that users of bumps expect.
func Migration() client.MigrateRequest {
	m := client.MigrateRequest{Source: "test"}
	for _, e := range entities() {
		m.Entities = append(m.Entities, client.Entity{
			ID: e.ID, Type: string(e.Type), CurrentVersion: e.CurrentVersion, UpdateStrategy: string(e.UpdateStrategy),
			ParentVersionID: e.ParentVersionID, DisplayName: e.DisplayName,
		})
	}
	return m
}

// Named is a history that an [Archivist] has read, as the checker of bumps takes it, for a
// cluster that signs with this key.
func Named(h *watchcheck.History, key string) (*bumpcheck.History, error) {
	named := &bumpcheck.History{History: h, Seed: seeded(), Sign: signer([]byte(key))}
	for i := range h.Transactions {
		var signed struct {
			Actor   string          `json:"actor"`
			Request json.RawMessage `json:"request"`
		}
		if err := json.Unmarshal([]byte(h.Transactions[i].Payload), &signed); err != nil {
			return nil, fmt.Errorf("reading the receipt of revision %d: %w", i+1, err)
		}
		named.Names = append(named.Names, nameOf(signed.Actor, signed.Request))
	}
	return named, nil
}
