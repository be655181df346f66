package client

// A Scope is the part of a version that a bump raises.
type Scope string

// The scopes.
const (
	Major Scope = "major"
	Minor Scope = "minor"
	Patch Scope = "patch"
)

// An Outcome says what became of a request that failed.
type Outcome string

// The outcomes.
const (
	// OutcomeRejected: it was not applied and, sent again as it is, never will be.
	OutcomeRejected Outcome = "rejected"

	// OutcomeNotApplied: it was not applied; sending it again is safe.
	OutcomeNotApplied Outcome = "not_applied"

	// OutcomeUnknown: it may have been applied. Sending it again under the same idempotency key is
	// safe, and tells.
	OutcomeUnknown Outcome = "unknown"
)

// A Code names the reason of a failure. A newer server may send codes that are not listed here.
type Code string

// The codes, by the status they come with.
const (
	CodeInvalidRequest Code = "INVALID_REQUEST" // 400

	CodeUnauthenticated Code = "UNAUTHENTICATED" // 401
	CodeForbidden       Code = "FORBIDDEN"       // 403

	CodeEntityNotFound   Code = "ENTITY_NOT_FOUND" // 404; also a bump of an empty registry
	CodeRegistryNotFound Code = "REGISTRY_NOT_FOUND"
	CodeRevisionNotFound Code = "REVISION_NOT_FOUND"
	CodeNotFound         Code = "NOT_FOUND" // no such route

	CodeMethodNotAllowed     Code = "METHOD_NOT_ALLOWED"     // 405
	CodePayloadTooLarge      Code = "PAYLOAD_TOO_LARGE"      // 413
	CodeUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE" // 415

	CodeVersionConflict Code = "VERSION_CONFLICT" // 409
	CodeHasChildren     Code = "HAS_CHILDREN"
	CodeEntityExists    Code = "ENTITY_EXISTS"
	CodeMembership      Code = "MEMBERSHIP_CONFLICT" // of the cluster's nodes, which do not allow a change

	CodeRevisionCompacted Code = "REVISION_COMPACTED" // 410
	CodeRevisionMismatch  Code = "REVISION_MISMATCH"  // 412

	CodeIdempotencyKeyReused Code = "IDEMPOTENCY_KEY_REUSED" // 422
	CodeRegistryInvalid      Code = "REGISTRY_INVALID"       // with the findings
	CodeVersionOverflow      Code = "VERSION_OVERFLOW"

	CodeTooManyRequests Code = "TOO_MANY_REQUESTS" // 429

	CodeNoLeader           Code = "NO_LEADER" // 503
	CodeNotReady           Code = "NOT_READY"
	CodeShuttingDown       Code = "SHUTTING_DOWN"
	CodeStorageFull        Code = "STORAGE_FULL"
	CodeTooManyConnections Code = "TOO_MANY_CONNECTIONS"

	CodeOutcomeUnknown Code = "OUTCOME_UNKNOWN" // 504

	CodeBumpFailed Code = "BUMP_FAILED" // 500: a defect of the server
	CodeInternal   Code = "INTERNAL"
)
