package client

// A Scope is the part of a version that a bump raises.
type Scope string

// The scopes, by what a bump makes of 1.2.3.
const (
	Major Scope = "major" // 2.0.0
	Minor Scope = "minor" // 1.3.0
	Patch Scope = "patch" // 1.2.4
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

// The codes, each with the status that it comes with.
const (
	CodeInvalidRequest Code = "INVALID_REQUEST" // 400: it breaks the rules of its form; Details names each fault

	CodeUnauthenticated Code = "UNAUTHENTICATED" // 401: the caller is not known
	CodeForbidden       Code = "FORBIDDEN"       // 403: the caller may not do this

	CodeEntityNotFound   Code = "ENTITY_NOT_FOUND"   // 404: no entity of that id, or none at all to bump
	CodeRegistryNotFound Code = "REGISTRY_NOT_FOUND" // 404: no registry of that id
	CodeRevisionNotFound Code = "REVISION_NOT_FOUND" // 404: the registry has not come to that revision
	CodeNotFound         Code = "NOT_FOUND"          // 404: no such route, or no such node

	CodeMethodNotAllowed     Code = "METHOD_NOT_ALLOWED"     // 405: the route has no such method
	CodePayloadTooLarge      Code = "PAYLOAD_TOO_LARGE"      // 413: the body, or what it would make of the registry, is above a limit
	CodeUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE" // 415: the body is not application/json

	CodeVersionConflict Code = "VERSION_CONFLICT"    // 409: the entity's version is not the expected one
	CodeHasChildren     Code = "HAS_CHILDREN"        // 409: the entity to delete is the parent of others
	CodeEntityExists    Code = "ENTITY_EXISTS"       // 409: a put that is to create finds the entity there
	CodeMembership      Code = "MEMBERSHIP_CONFLICT" // 409: the cluster's nodes do not allow this change of them

	CodeRevisionCompacted Code = "REVISION_COMPACTED" // 410: the revision is older than the history that is kept
	CodeRevisionAhead     Code = "REVISION_AHEAD"     // 410: a watch begins behind a revision that does not exist yet
	CodeClusterChanged    Code = "CLUSTER_CHANGED"    // 410: a watch begins at a revision of another cluster
	CodeRevisionMismatch  Code = "REVISION_MISMATCH"  // 412: the registry is not at the revision of IfMatch

	CodeIdempotencyKeyReused Code = "IDEMPOTENCY_KEY_REUSED" // 422: the key was used for another request
	CodeRegistryInvalid      Code = "REGISTRY_INVALID"       // 422: the content breaks the rules; Validation has the findings
	CodeVersionOverflow      Code = "VERSION_OVERFLOW"       // 422: a part of a version would exceed 2^63-1

	CodeTooManyRequests Code = "TOO_MANY_REQUESTS" // 429: the cluster has more to do than it can take

	CodeNoLeader           Code = "NO_LEADER"            // 503: no leader was found in time
	CodeNotReady           Code = "NOT_READY"            // 503: the node cannot serve this now, or not in time
	CodeShuttingDown       Code = "SHUTTING_DOWN"        // 503: the node is stopping
	CodeStorageFull        Code = "STORAGE_FULL"         // 503: the node has no room on its disk
	CodeTooManyConnections Code = "TOO_MANY_CONNECTIONS" // 503: the node has as many watchers as it may

	CodeOutcomeUnknown Code = "OUTCOME_UNKNOWN" // 504: the write was under way when its time was up

	CodeBumpFailed Code = "BUMP_FAILED" // 500: a defect of the server, in a bump or a batch
	CodeInternal   Code = "INTERNAL"    // 500: a defect of the server, elsewhere
)
