package httpapi

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
)

// outcome is what a bump or a batch did, or would do.
type outcome struct {
	dryRun   bool
	registry string
	revision uint64
	changes  []fsm.Change
	entities []fsm.Entity // parallel to changes
	items    []int        // of a batch: how many of the changes belong to each request
	seal     seal         // zero of a dry run
}

// seal is what an answer carries of the receipt.
type seal struct {
	transactionID, signature, keyID string
	timestamp                       int64
}

func (s *Server) bump(c *call) (*answer, error) {
	return c.serveBump(intake.Bump, (*outcome).appendBump)
}

func (s *Server) batch(c *call) (*answer, error) {
	return c.serveBump(intake.Batch, (*outcome).appendBatch)
}

// The answers to bumps are written by hand, as a [client.BumpResponse] and a
// [client.BatchResponse] are read: they are what is written most. Ids, hashes and signatures
// need no escapes.

// appendBump appends the answer to a bump.
func (o *outcome) appendBump(dst []byte) []byte {
	dst = o.appendMoves(append(o.appendHead(dst), ','), 0, len(o.changes))
	return o.appendSeal(dst)
}

// appendBatch appends the answer to a batch.
func (o *outcome) appendBatch(dst []byte) []byte {
	dst = append(o.appendHead(dst), `,"results":[`...)
	first := 0
	for i, n := range o.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(o.appendMoves(append(dst, '{'), first, first+n), '}')
		first += n
	}
	return o.appendSeal(append(dst, ']'))
}

func (o *outcome) appendHead(dst []byte) []byte {
	dst = strconv.AppendBool(append(dst, `{"success":true,"dryRun":`...), o.dryRun)
	dst = append(append(append(dst, `,"registryId":"`...), o.registry...), `","revision":`...)
	dst = strconv.AppendUint(dst, o.revision, 10)
	if !o.dryRun {
		dst = append(append(append(dst, `,"transactionId":"`...), o.seal.transactionID...), '"')
	}
	return dst
}

// appendMoves appends what moved in some of the changes.
func (o *outcome) appendMoves(dst []byte, from, to int) []byte {
	dst = appendList(append(dst, `"bumped":`...), o.entities[from:to], (*fsm.Entity).AppendJSON)
	return appendList(append(dst, `,"changes":`...), o.changes[from:to], (*fsm.Change).AppendJSON)
}

func (o *outcome) appendSeal(dst []byte) []byte {
	if !o.dryRun {
		dst = append(append(append(dst, `,"signature":"`...), o.seal.signature...), `","keyId":"`...)
		dst = append(append(dst, o.seal.keyID...), `","timestamp":`...)
		dst = strconv.AppendInt(dst, o.seal.timestamp, 10)
	}
	return append(dst, `,"hsl":"`+hslSuccess+`"}`...)
}

// appendList appends a JSON array.
func appendList[T any](dst []byte, list []T, element func(*T, []byte) []byte) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = element(&list[i], dst)
	}
	return append(dst, ']')
}

// serveBump answers a bump or a batch.
func (c *call) serveBump(read reader, render func(*outcome, []byte) []byte) (*answer, error) {
	start := c.s.now()
	cmd, dryRun, err := c.command(read, maxBody)
	if err != nil {
		return nil, err
	}
	o, err := c.raise(cmd, dryRun, start)
	if err != nil {
		return nil, err
	}
	c.stamp(o.revision)
	return &answer{body: render(&o, make([]byte, 0, answerHead+len(o.changes)*answerMove))}, nil
}

// What an answer takes, in bytes, beside its changes, and for each of them with its entity; more,
// when texts are long. A bump may move thousands, and growing up to them costs as much as writing them.
const (
	answerHead = 512
	answerMove = 512
)

// raise carries a bump or a batch out, or plans it, and reports what became of it. It
// began at start.
func (c *call) raise(cmd fsm.Command, dryRun bool, start time.Time) (o outcome, err error) {
	if dryRun {
		return c.plan(cmd)
	}
	o, err = c.commit(cmd)
	c.reportBump(cmd, len(o.changes), start, err)
	return o, err
}

// plan works out what a command would do.
func (c *call) plan(cmd fsm.Command) (outcome, error) {
	view, err := c.read(cluster.ReadOptions{Mode: cluster.Linearizable})
	if err != nil {
		return outcome{}, err
	}
	plan, refusal := view.Plan(cmd)
	if refusal != nil {
		return outcome{}, refusal
	}
	return outcome{
		dryRun: true, registry: cmd.Registry, revision: plan.Revision,
		changes: plan.Changes, entities: plan.Entities, items: plan.Items,
	}, nil
}

// commit carries a command out.
func (c *call) commit(cmd fsm.Command) (outcome, error) {
	result, err := c.propose(cmd)
	if err != nil {
		return outcome{}, err
	}
	t := result.Transaction
	if t == nil {
		return outcome{}, errors.New("a bump succeeded without a transaction")
	}
	seal, err := c.seal(t)
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		registry: t.RegistryID, revision: t.Revision,
		changes: t.Changes, entities: result.Entities, items: t.Items, seal: seal,
	}, nil
}

// seal signs a transaction for its answer. The transaction stands even if that fails:
// a repeat with the same key gets its answer, from this node or from another.
func (c *call) seal(t *fsm.Transaction) (seal, error) {
	signature, err := c.s.node.Sign(t.Payload())
	if err != nil {
		return seal{}, fmt.Errorf("%w: signing the answer: %w", cluster.ErrUnknownOutcome, err)
	}
	c.set("Tes-Sig", signature)
	return seal{transactionID: t.ID, signature: signature, keyID: t.KeyID, timestamp: t.Timestamp}, nil
}

// reportBump counts a bump or a batch that was proposed, and logs what became of it.
// The repeat of an earlier answer is no news.
func (c *call) reportBump(cmd fsm.Command, bumped int, start time.Time, err error) {
	duration, outcome := c.s.now().Sub(start), bumpSuccess
	replayed := c.w.Header()["Idempotency-Replayed"] != nil
	switch {
	case replayed:
		outcome = bumpReplayed
	case err != nil:
		_, o := c.verdict(failureOf(err))
		outcome = string(o)
	}
	c.s.metrics.bumped(outcome, duration)
	if replayed || err == nil && !c.s.log.IsInfo() {
		return
	}
	scope, hsl := "batch", hslSuccess
	if op, ok := cmd.Op.(fsm.Bump); ok {
		scope = op.Scope.String()
	}
	if err != nil {
		hsl = hslFailure
	}
	fields := []any{
		"scope", scope, "entityId", c.entityID, "duration", duration.Milliseconds(), "entitiesBumped", bumped,
		"registryId", c.registry, "requestId", c.id, "threadGroup", domain, "threadId", threadID, "hsl", hsl,
	}
	if err != nil {
		c.s.log.Warn("version_bump_failed", append(fields, "error", err.Error())...)
		return
	}
	c.s.log.Info("version_bump_success", fields...)
}
