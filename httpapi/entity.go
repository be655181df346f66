package httpapi

import (
	"errors"
	"strconv"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
	"github.com/tesd/tesd/internal/wire"
)

// entity answers one entity.
func (s *Server) entity(c *call) (*answer, error) {
	c.entityID = c.tail
	return serveRead(c, func(*query) struct{} { return struct{}{} }, func(r fsm.Registry, _ struct{}) (*answer, error) {
		e, ok := r.Entity(c.tail)
		if !ok {
			return nil, unknownEntity(c.tail, r.ID())
		}
		if c.ifNoneMatch(r.Revision()) {
			return notModified(), nil
		}
		b := append(make([]byte, 0, 512), `{"entity":`...) // by hand, as it is what is read most
		b = append(e.AppendJSON(b), `,"revision":`...)
		return &answer{body: append(strconv.AppendUint(b, r.Revision(), 10), '}')}, nil
	})
}

// putEntity creates or replaces an entity. What content is valid by itself is decided
// here, before the log, as for a migrate; the machine decides how it fits the registry.
func (s *Server) putEntity(c *call) (*answer, error) {
	c.entityID = c.tail
	cmd, _, err := c.command(func(body []byte, f *intake.Faults) (fsm.Op, bool, bool) {
		op, ok := intake.Put(body, f)
		if ok && op.Entity.ID != c.tail {
			f.Add("id", "is not %q, as in the path", intake.Shorten(c.tail))
		}
		op.CreateOnly = c.createOnly(f)
		return op, false, ok
	}, maxBody)
	if err != nil {
		return nil, err
	}
	op := cmd.Op.(fsm.Put)
	if report := fsm.ValidateEntity(&op.Entity); !report.Valid() {
		return nil, invalid(report)
	}
	a, err := c.writeEntity(cmd)
	if refusal, ok := errors.AsType[*fsm.Refusal](err); ok && refusal.Code == fsm.CodeVersionConflict {
		f := refusalOf(refusal)
		f.details = []client.Detail{{Path: "currentVersion", Message: f.message}}
		return nil, f
	}
	return a, err
}

// deleteEntity removes an entity.
func (s *Server) deleteEntity(c *call) (*answer, error) {
	c.entityID = c.tail
	if fsm.CheckEntityID(c.tail) != nil {
		return nil, unknownEntity(c.tail, c.registry)
	}
	var f intake.Faults
	cmd := c.conditions(&f)
	c.noBody(&f)
	if err := faulty(&f); err != nil {
		return nil, err
	}
	cmd.Op = fsm.Delete{EntityID: c.tail}
	return c.writeEntity(cmd)
}

// writeEntity carries out a put or a delete.
func (c *call) writeEntity(cmd fsm.Command) (*answer, error) {
	result, err := c.propose(cmd)
	if err != nil {
		return nil, err
	}
	resp := client.EntityWriteResponse{
		Success: true, RegistryID: c.registry, Revision: result.Revision, Changes: []client.Change{}, HSL: hslSuccess,
	}
	if len(result.Entities) > 0 {
		resp.Entity = new(wire.Entity(&result.Entities[0]))
	}
	if t := result.Transaction; t != nil {
		seal, err := c.seal(t)
		if err != nil {
			return nil, err
		}
		resp.Changes = wire.Changes(t.Changes)
		resp.TransactionID, resp.Timestamp, resp.Signature, resp.KeyID = seal.transactionID, seal.timestamp, seal.signature, seal.keyID
	}
	c.stamp(resp.Revision)
	return jsonAnswer(resp)
}

// createOnly reports whether a put must not replace.
func (c *call) createOnly(f *intake.Faults) bool {
	tag, given := c.header("If-None-Match", f)
	if given && tag != "*" {
		f.Add("If-None-Match", "must be *, to create an entity and replace none")
	}
	return given
}

// registries answers all registries of the cluster.
func (s *Server) registries(c *call) (*answer, error) {
	view, err := c.readAll()
	if err != nil {
		return nil, err
	}
	resp := client.RegistriesResponse{Registries: []client.RegistrySummary{}}
	for r := range view.Registries() {
		resp.Registries = append(resp.Registries, client.RegistrySummary{
			RegistryID: r.ID(), Revision: r.Revision(), Entities: r.Len(), Lifecycle: s.lifecycle(r),
		})
	}
	return jsonAnswer(resp)
}
