package httpapi

import (
	"fmt"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
	"github.com/tesd/tesd/internal/wire"
)

// migrate answers the import of a registry. What content is valid is decided here,
// before the log: it depends on what this release's regexp accepts.
func (s *Server) migrate(c *call) (*answer, error) {
	cmd, _, err := c.command(intake.Migrate, maxMigrateBody)
	if err != nil {
		return nil, err
	}
	op := cmd.Op.(fsm.Migrate)
	report := fsm.Validate(op.Entities)
	if !report.Valid() {
		return nil, invalid(report)
	}
	result, err := c.propose(cmd)
	if err != nil {
		return nil, err
	}
	resp := client.MigrateResponse{RegistryID: c.registry, Revision: result.Revision, Validation: wire.Validation(report)}
	if t := result.Transaction; t != nil {
		seal, err := c.seal(t)
		if err != nil {
			return nil, err
		}
		resp.Migrated, resp.EntitiesMigrated = true, len(t.Changes)
		resp.TransactionID, resp.Timestamp, resp.Signature, resp.KeyID = seal.transactionID, seal.timestamp, seal.signature, seal.keyID
		if !result.Replayed {
			s.log.Info("migration_complete", "source", op.Source, "target", c.registry, "entitiesMigrated", len(t.Changes), "requestId", c.id)
		}
	}
	c.stamp(resp.Revision)
	return jsonAnswer(resp)
}

// invalid is the failure of a registry with errors. It names the first of them.
func invalid(report fsm.Report) error {
	first := report.Errors[0]
	message := "the registry is invalid: " + first.Message
	if first.EntityID != "" {
		message = fmt.Sprintf("the registry is invalid: entity %q: %s", first.EntityID, first.Message)
	}
	return &failure{code: client.CodeRegistryInvalid, message: message, validation: wire.Validation(report)}
}
