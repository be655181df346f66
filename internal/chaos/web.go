package chaos

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/watchcheck"
)

// anywhere is the place of requests that go where the client library has them go.
const anywhere = "any"

// web is how a user reaches nodes over HTTP, by the client library: mostly one client of all
// nodes, which finds one by itself and repeats what it may, and sometimes one of a certain node. Users
// without keys send each write to a certain node, once.
type web struct {
	*user
	all   *client.Client
	one   map[string]*client.Client // by node
	let   []func()                  // what lets go of their connections
	knew  []knew                    // what was known when, latest last
	nodes []string
}

// knew is a revision that someone knew of at a time.
type knew struct {
	at       time.Time
	revision uint64
}

func newWeb(u *user) (*web, error) {
	u.once = !u.keyed // with a key, the library repeats what it does not know the outcome of
	r := &web{user: u, one: make(map[string]*client.Client)}
	host := "web-" + strconv.Itoa(u.id)
	all, let, err := u.w.Client(host, u.rng, u.keyed)
	if err != nil {
		return nil, err
	}
	r.all, r.let = all, append(r.let, let)
	for _, e := range u.w.Endpoints {
		one := &World{Endpoints: []Endpoint{e}, Dial: u.w.Dial}
		c, let, err := one.Client(host, u.rng, u.keyed)
		if err != nil {
			return nil, err
		}
		r.one[e.ID], r.let = c, append(r.let, let)
		r.nodes = append(r.nodes, e.ID)
	}
	return r, nil
}

func (u *web) release() {
	for _, let := range u.let {
		let()
	}
}

// spelled has what is deleted named by that: the history has nothing else of it.
func (u *web) spelled(r *bumpcheck.Request) {
	if r.Delete != "" {
		r.Name = deletion(r.Delete)
	}
}

// place returns where a write goes. The library begins with the node that answered last, dead as that may
// be by now: who asks once names one.
func (u *web) place() string {
	if u.once {
		return u.nodes[u.rng.IntN(len(u.nodes))]
	}
	return u.usual()
}

// usual returns where a request goes that the library may repeat.
func (u *web) usual() string {
	if u.rng.IntN(8) > 0 {
		return anywhere
	}
	return u.nodes[u.rng.IntN(len(u.nodes))]
}

func (u *web) client(place string) *client.Client {
	if place == anywhere {
		return u.all
	}
	return u.one[place]
}

// send sends a write once, as the library does: with a key, until it knows the outcome or gives up.
func (u *web) send(place string, s *sent, limit time.Duration) attempt {
	ctx, cancel := context.WithTimeout(context.Background(), 4*limit)
	defer cancel()
	if !s.keyed {
		ctx = singly(ctx, cancel)
	}
	a := attempt{node: place}
	err := ask(ctx, u.client(place), s, &a.answer)
	a.answer.Node = place
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
		a.outcome = bumpcheck.Acknowledged
	case !ok:
		a.err = err
	case e.Outcome == client.OutcomeNotApplied:
		a.outcome = bumpcheck.NotApplied
	case e.Outcome == client.OutcomeUnknown:
		a.outcome = bumpcheck.Unknown
	case e.Code == client.CodeRevisionMismatch, e.Code == client.CodeVersionConflict:
		a.outcome, a.refusal = bumpcheck.Refused, refusalOf(e)
	default: // what users ask for gives no reason to refuse it
		a.err = err
	}
	return a
}

// refusalOf is a refusal of the state machine, as its words tell of it: "registry "r" is at revision
// 3, not 2", "version of "e" is "1.0.3", not "1.0.2"".
func refusalOf(e *client.Error) bumpcheck.Refusal {
	r := bumpcheck.Refusal{Code: string(e.Code), Entity: e.Context.EntityID}
	is, _, _ := strings.Cut(e.Message, ", not ")
	r.Actual = strings.Trim(is[strings.LastIndexByte(is, ' ')+1:], `"`)
	return r
}

// ask asks for what a write says, and fills in the answer.
func ask(ctx context.Context, c *client.Client, s *sent, a *bumpcheck.Answer) error {
	r := s.request
	options := []client.WriteOption{client.IdempotencyKey(r.Name)} // which goes no further if the user has none
	if r.IfMatch != nil {
		options = append(options, client.IfMatch(*r.IfMatch))
	}
	switch {
	case r.Put != nil, r.Delete != "":
		return askOfEntity(ctx, c, r, options, a)
	case len(r.Bumps) == 1:
		told, err := c.Bump(ctx, webBump(s, 0), options...)
		if err == nil {
			*a = webAnswer(told.Revision, told.TransactionID, told.Changes, told.Signature)
		}
		return err
	}
	var batch client.BatchRequest
	for i := range r.Bumps {
		batch.Requests = append(batch.Requests, webBump(s, i))
	}
	told, err := c.Batch(ctx, batch, options...)
	if err != nil {
		return err
	}
	var changes []client.Change
	for _, result := range told.Results {
		changes = append(changes, result.Changes...)
	}
	*a = webAnswer(told.Revision, told.TransactionID, changes, told.Signature)
	return nil
}

// askOfEntity asks for a put or a delete.
func askOfEntity(ctx context.Context, c *client.Client, r *bumpcheck.Request, options []client.WriteOption, a *bumpcheck.Answer) error {
	var told *client.EntityWriteResponse
	var err error
	if r.Put != nil {
		e := client.Entity{
			ID: r.Put.ID, Type: TypeOf(r.Put.ID), CurrentVersion: r.Put.Version, UpdateStrategy: "independent",
			ParentVersionID: r.Put.Parent, DisplayName: r.Put.Name,
		}
		if r.Put.Linked {
			e.UpdateStrategy = "linked-to-parent"
		}
		told, err = c.Put(ctx, e, options...)
	} else {
		told, err = c.Delete(ctx, r.Delete, options...)
	}
	if err == nil {
		*a = webAnswer(told.Revision, told.TransactionID, told.Changes, told.Signature)
	}
	return err
}

func webBump(s *sent, i int) client.BumpRequest {
	b := s.request.Bumps[i]
	return client.BumpRequest{
		Scope: [...]client.Scope{"", client.Major, client.Minor, client.Patch}[b.Scope], EntityID: b.Entity, Cascade: &b.Cascade,
		ExpectedVersion: b.Expected, Reason: strings.TrimSpace(s.request.Name + " " + s.text),
	}
}

func webAnswer(revision uint64, id string, changes []client.Change, signature string) bumpcheck.Answer {
	e := EventOf(&client.Event{Changes: changes})
	return bumpcheck.Answer{Revision: revision, TransactionID: id, Changes: append([]watchcheck.Change{}, e.Changes...), Signature: signature}
}

// read reads an entity, all of them, or what a bump would do.
func (u *web) read(r *bumpcheck.Read, limit time.Duration) bool {
	r.Node = u.usual()
	options := u.freshness(r)
	ctx, cancel := context.WithTimeout(context.Background(), 4*limit)
	defer cancel()
	look := u.entityOf
	switch chance := u.rng.IntN(16); {
	case chance < 1:
		look = u.registryOf
	case chance < 3 && len(options) == 0:
		look = u.planOf
	}
	r.Call = u.clock.Add(1)
	err := look(ctx, r, options)
	r.Return = u.clock.Add(1)
	if e, ok := errors.AsType[*client.Error](err); ok && e.Outcome == client.OutcomeRejected {
		u.w.Fail("a read at %s (stale: %t; of revision %d at least) is refused: %w", r.Node, r.Stale, r.AtLeast, err)
	}
	return err == nil
}

// freshness makes up how fresh a read has to be: linearizable, any state of a node, one of a
// revision at least, or one that is no older than some time.
func (u *web) freshness(r *bumpcheck.Read) []client.ReadOption {
	now := time.Now()
	u.knew = append(u.knew, knew{now, u.w.Known()})
	u.knew = u.knew[max(0, len(u.knew)-256):]
	switch u.rng.IntN(10) {
	case 0:
		r.Stale = true
		return []client.ReadOption{client.Stale()}
	case 1:
		r.Stale, r.AtLeast = true, max(u.w.Known(), 1)
		return []client.ReadOption{client.MinRevision(r.AtLeast)}
	case 2:
		r.Stale = true
		most := u.unit/10 + upTo(u.rng, 2*u.unit)
		for _, k := range slices.Backward(u.knew) {
			if now.Sub(k.at) >= most { // it is as old when the read is answered, or older
				r.AtLeast = k.revision
				break
			}
		}
		return []client.ReadOption{client.MaxStale(most)}
	}
	return nil
}

// entityOf reads an entity. It must be there: nobody deletes those of the beginning, and what the user made
// itself it deletes itself, and reads no more. Only a stale read may be from before the user made it, and one
// that asks for no revision from before everything, at a node that is new.
func (u *web) entityOf(ctx context.Context, r *bumpcheck.Read, options []client.ReadOption) error {
	id := u.entity()
	told, err := u.client(r.Node).Entity(ctx, id, options...)
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == client.CodeEntityNotFound && r.Stale && (r.AtLeast == 0 || slices.Contains(u.made, id)) {
		return errors.New("the entity was yet to come")
	}
	if err != nil {
		return err
	}
	r.Revision, r.Saw = told.Revision, []bumpcheck.Seen{seen(&told.Entity)}
	return nil
}

// registryOf reads the whole registry. What everyone wants must be there.
func (u *web) registryOf(ctx context.Context, r *bumpcheck.Read, options []client.ReadOption) error {
	told, err := u.client(r.Node).Registry(ctx, client.RegistryOptions{}, options...)
	if err != nil {
		return err
	}
	r.Revision = told.Revision
	for _, id := range []string{"global:main", "component:a", "component:b", "api:a", u.entity()} {
		saw := bumpcheck.Seen{Entity: id}
		for i := range told.Entities {
			if told.Entities[i].ID == id {
				saw = seen(&told.Entities[i])
			}
		}
		if !slices.Contains(r.Saw, saw) {
			r.Saw = append(r.Saw, saw)
		}
	}
	return nil
}

// planOf asks what a bump would do, which shows what there is before it.
func (u *web) planOf(ctx context.Context, r *bumpcheck.Read, _ []client.ReadOption) error {
	told, err := u.client(r.Node).Bump(ctx, client.BumpRequest{Scope: client.Minor, EntityID: hot(u.rng), DryRun: true, Reason: "planned"})
	if err != nil {
		return err
	}
	r.Revision = told.Revision
	for _, c := range told.Changes {
		if c.OldVersion != nil {
			r.Saw = append(r.Saw, bumpcheck.Seen{Entity: c.EntityID, Version: *c.OldVersion, Name: c.DisplayName})
		}
	}
	return nil
}

func seen(e *client.Entity) bumpcheck.Seen {
	return bumpcheck.Seen{Entity: e.ID, Version: e.CurrentVersion, Name: e.DisplayName}
}
