package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/wire"
)

// The colours that answers carry.
const (
	hslSuccess = "#9D4EDD"
	hslFailure = "#FF0000"
)

// domain is the part of the system that errors and events name.
const domain = "VERSION_MANAGEMENT"

// kind is what follows from the code of an error.
type kind struct {
	status     int
	outcome    client.Outcome
	retryAfter int  // seconds; 0 for no Retry-After
	cluster    bool // the cluster's state is the cause, not the request
}

// kinds says for every code what follows from it.
//
// immutable: nothing writes to it.
var kinds = map[client.Code]kind{
	client.CodeInvalidRequest:       {400, client.OutcomeRejected, 0, false},
	client.CodeUnauthenticated:      {401, client.OutcomeRejected, 0, false},
	client.CodeForbidden:            {403, client.OutcomeRejected, 0, false},
	client.CodeEntityNotFound:       {404, client.OutcomeRejected, 0, false},
	client.CodeRegistryNotFound:     {404, client.OutcomeRejected, 0, false},
	client.CodeRevisionNotFound:     {404, client.OutcomeRejected, 0, false},
	client.CodeNotFound:             {404, client.OutcomeRejected, 0, false},
	client.CodeMethodNotAllowed:     {405, client.OutcomeRejected, 0, false},
	client.CodeVersionConflict:      {409, client.OutcomeRejected, 0, false},
	client.CodeHasChildren:          {409, client.OutcomeRejected, 0, false},
	client.CodeEntityExists:         {409, client.OutcomeRejected, 0, false},
	client.CodeMembership:           {409, client.OutcomeRejected, 0, true},
	client.CodeRevisionCompacted:    {410, client.OutcomeRejected, 0, false},
	client.CodeRevisionAhead:        {410, client.OutcomeRejected, 0, false},
	client.CodeClusterChanged:       {410, client.OutcomeRejected, 0, false},
	client.CodeRevisionMismatch:     {412, client.OutcomeRejected, 0, false},
	client.CodePayloadTooLarge:      {413, client.OutcomeRejected, 0, false},
	client.CodeUnsupportedMediaType: {415, client.OutcomeRejected, 0, false},
	client.CodeIdempotencyKeyReused: {422, client.OutcomeRejected, 0, false},
	client.CodeRegistryInvalid:      {422, client.OutcomeRejected, 0, false},
	client.CodeVersionOverflow:      {422, client.OutcomeRejected, 0, false},
	client.CodeTooManyRequests:      {429, client.OutcomeNotApplied, 1, true},
	client.CodeNoLeader:             {503, client.OutcomeNotApplied, 1, true},
	client.CodeNotReady:             {503, client.OutcomeNotApplied, 1, true},
	client.CodeShuttingDown:         {503, client.OutcomeNotApplied, 1, true},
	client.CodeStorageFull:          {503, client.OutcomeNotApplied, 30, true},
	client.CodeTooManyConnections:   {503, client.OutcomeNotApplied, 5, false},
	client.CodeOutcomeUnknown:       {504, client.OutcomeUnknown, 0, true},
	client.CodeBumpFailed:           {500, client.OutcomeUnknown, 0, false},
	client.CodeInternal:             {500, client.OutcomeUnknown, 0, false},
}

// sentinel says which code an error of another package comes to.
type sentinel struct {
	err  error
	code client.Code
}

// sentinels are tried in order: an error that wraps two is what the first one says.
//
// immutable: nothing writes to it.
var sentinels = []sentinel{
	{cluster.ErrUnknownOutcome, client.CodeOutcomeUnknown},
	{cluster.ErrShuttingDown, client.CodeShuttingDown},
	{cluster.ErrDiskFailed, client.CodeShuttingDown}, // which it does for that
	{cluster.ErrNoLeader, client.CodeNoLeader},
	{cluster.ErrStorageFull, client.CodeStorageFull},
	{cluster.ErrBusy, client.CodeTooManyRequests},
	{cluster.ErrNotReady, client.CodeNotReady},
	{cluster.ErrMembership, client.CodeMembership},
	{cluster.ErrNoNode, client.CodeNotFound},
	{cluster.ErrDiverged, client.CodeInternal},
	{fsm.ErrNoRevision, client.CodeRevisionNotFound},
	{fsm.ErrCompacted, client.CodeRevisionCompacted},
	{fsm.ErrOverflow, client.CodeVersionOverflow},
	{fsm.ErrChecksum, client.CodeInternal},
	{fsm.ErrNewerFormat, client.CodeInternal},
	{fsm.ErrBadEntry, client.CodeInternal},
	{fsm.ErrBadSnapshot, client.CodeInternal},
	{context.DeadlineExceeded, client.CodeNotReady}, // of a read; a write's is cluster's to judge
	{context.Canceled, client.CodeNotReady},
}

// failure is why a call is not answered with success.
type failure struct {
	code       client.Code
	message    string
	entityID   string
	details    []client.Detail
	validation *client.Validation
	cause      error // for the log alone
}

// Error returns the failure in words.
func (f *failure) Error() string { return f.message }

// failureOf finds out what an error comes to.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if r, ok := errors.AsType[*fsm.Refusal](err); ok {
		return refusalOf(r)
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return &failure{code: s.code, message: err.Error(), cause: err}
		}
	}
	return &failure{cause: err}
}

// refusalOf is the failure that a refusal of the state machine comes to. The
// machine's codes are the API's.
func refusalOf(r *fsm.Refusal) *failure {
	f := &failure{code: client.Code(r.Code), message: r.Error(), entityID: r.EntityID}
	path := ""
	switch r.Code {
	case fsm.CodeVersionConflict:
		path = "expectedVersion"
	case fsm.CodeRevisionMismatch:
		path = "If-Match"
	case fsm.CodeKeyReused:
		path = "Idempotency-Key"
	case fsm.CodeRegistryInvalid:
		f.validation = wire.Validation(fsm.Report{Errors: r.Findings})
	}
	if r.Item >= 0 {
		path = "requests[" + strconv.Itoa(r.Item) + "]"
	}
	if path != "" {
		f.details = []client.Detail{{Path: path, Message: f.message}}
	}
	for _, p := range r.Problems {
		f.details = append(f.details, client.Detail(p))
	}
	return f
}

// verdict is what a failure of the call is named by, and what became of the request.
func (c *call) verdict(f *failure) (client.Code, client.Outcome) {
	code := f.code
	if code == "" {
		if code = client.CodeInternal; c.operation() == "bump" || c.operation() == "batch" {
			code = client.CodeBumpFailed
		}
	}
	outcome := kinds[code].outcome
	if outcome == client.OutcomeUnknown && !c.proposed {
		outcome = client.OutcomeNotApplied
	}
	return code, outcome
}

// refuse makes the answer to a call that failed.
func (c *call) refuse(err error) *answer {
	body := c.errorBody(err)
	k := kinds[body.Code]
	if k.retryAfter > 0 {
		c.set("Retry-After", strconv.Itoa(k.retryAfter))
	}
	a, err := jsonAnswer(client.ErrorResponse{Error: body})
	if err != nil { // it is made of strings, so this is not expected
		panic(err)
	}
	a.status = k.status
	return a
}

// errorBody is what callers are told of a failure of the call. It is the one place where
// errors take the form that callers see.
func (c *call) errorBody(err error) client.ErrorBody {
	f, operation := failureOf(err), c.operation()
	code, outcome := c.verdict(f)
	k, message := kinds[code], f.message
	if k.status == http.StatusInternalServerError {
		c.s.log.Error("request failed", "requestId", c.id, "operation", operation, "registryId", c.registry, "error", f.cause)
		message = "the server failed; its log says more under this request id"
	}
	scope := cmp.Or(c.scope, "HTTP")
	if k.cluster {
		scope = "CLUSTER"
	}
	entityID := f.entityID
	if entityID == "" {
		entityID = c.entityID
	}
	return client.ErrorBody{
		Code: code, Message: message, Details: f.details, Validation: f.validation, Outcome: outcome, HSL: hslFailure,
		Context: client.ErrorContext{Domain: domain, Scope: scope, Operation: operation, EntityID: entityID, RequestID: c.id},
	}
}
