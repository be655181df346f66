package client

import "encoding/json"

// An Entity is one thing with a version.
type Entity struct {
	ID              string `json:"id"`
	Type            string `json:"type"` // global, component, api-scope, cli-tool or documentation
	CurrentVersion  string `json:"currentVersion"`
	UpdateStrategy  string `json:"updateStrategy"` // linked-to-parent or independent
	ParentVersionID string `json:"parentVersionId,omitzero"`

	// Files are the places in which the version stands. A list that is nil is sent as an empty one.
	Files []File `json:"files"`

	DisplayInUI       bool   `json:"displayInUi"`
	DisplayName       string `json:"displayName"`
	Description       string `json:"description,omitzero"`
	APIEndpointPrefix string `json:"apiEndpointPrefix,omitzero"`
	CLICommandName    string `json:"cliCommandName,omitzero"`
}

// withFiles returns the entity with a list of files that is not nil.
func (e Entity) withFiles() Entity {
	if e.Files == nil {
		e.Files = []File{}
	}
	return e
}

// A File tells where in a file the version of an entity stands.
type File struct {
	Path           string `json:"path"`
	Pattern        string `json:"pattern"` // RE2; its first group is the version
	Replacement    string `json:"replacement"`
	Description    string `json:"description"`
	DefaultVersion string `json:"defaultVersion,omitzero"`
	Required       bool   `json:"required,omitzero"`
}

// A BumpRequest asks for one bump.
type BumpRequest struct {
	Scope Scope `json:"scope"`

	// EntityID names the entity to raise; empty means every entity of the registry.
	EntityID string `json:"entityId,omitzero"`

	// DryRun asks what the bump would do. Within a batch it belongs on the batch.
	DryRun bool `json:"dryRun,omitzero"`

	// Cascade says whether the linked children move too; nil means that they do. new(false) raises
	// the entity alone.
	Cascade *bool `json:"cascade,omitzero"`

	// ExpectedVersion, unless empty, refuses the bump when the entity has another version.
	ExpectedVersion string `json:"expectedVersion,omitzero"`

	// Reason is free text of at most 1 KiB; it is part of what the receipt signs.
	Reason string `json:"reason,omitzero"`
}

// A Change is what one transaction did to one entity.
type Change struct {
	EntityID    string  `json:"entityId"`
	OldVersion  *string `json:"oldVersion"` // null when the transaction created the entity
	NewVersion  *string `json:"newVersion"` // null when it removed the entity
	DisplayName string  `json:"displayName"`
}

// A BumpResponse answers a bump. A dry run leaves TransactionID, Signature, KeyID and Timestamp empty,
// and Revision is then the one that the plan was computed at.
type BumpResponse struct {
	Success       bool     `json:"success"`
	DryRun        bool     `json:"dryRun"`
	RegistryID    string   `json:"registryId"`
	Revision      uint64   `json:"revision"`
	TransactionID string   `json:"transactionId,omitzero"`
	Bumped        []Entity `json:"bumped"` // the moved entities as they are afterwards
	Changes       []Change `json:"changes"`
	Signature     string   `json:"signature,omitzero"`
	KeyID         string   `json:"keyId,omitzero"`
	Timestamp     int64    `json:"timestamp,omitzero"` // Unix milliseconds
	HSL           string   `json:"hsl"`

	// Replayed says that the cluster had this idempotency key already, and that this is the answer
	// it gave then: to an earlier call, or to an attempt of this one whose answer got lost.
	Replayed bool `json:"-"`
}

// A BatchRequest asks for several bumps in one transaction: all of them or none, in order, each
// seeing what those before it did.
type BatchRequest struct {
	Requests []BumpRequest `json:"requests"`
	DryRun   bool          `json:"dryRun,omitzero"`
}

// A BatchResult is what one request of a batch did.
type BatchResult struct {
	Bumped  []Entity `json:"bumped"`
	Changes []Change `json:"changes"`
}

// A BatchResponse answers a batch; Results run parallel to the requests. The rest is as in
// [BumpResponse].
type BatchResponse struct {
	Success       bool          `json:"success"`
	DryRun        bool          `json:"dryRun"`
	RegistryID    string        `json:"registryId"`
	Revision      uint64        `json:"revision"`
	TransactionID string        `json:"transactionId,omitzero"`
	Results       []BatchResult `json:"results"`
	Signature     string        `json:"signature,omitzero"`
	KeyID         string        `json:"keyId,omitzero"`
	Timestamp     int64         `json:"timestamp,omitzero"` // Unix milliseconds
	HSL           string        `json:"hsl"`

	Replayed bool `json:"-"` // as in BumpResponse
}

// A RegistryResponse is a registry at one revision, its entities by id.
type RegistryResponse struct {
	RegistryID string   `json:"registryId"`
	Revision   uint64   `json:"revision"`
	Lifecycle  string   `json:"lifecycle"` // CREATED, RUNNING, TERMINATED, BLOCKED or ERROR
	Entities   []Entity `json:"entities"`
	HSL        string   `json:"hsl"`

	// Next is the After that asks for the next page; empty says that this was the last.
	Next string `json:"next,omitzero"`
}

// An EntityResponse is one entity, and the revision of the registry it was read at.
type EntityResponse struct {
	Entity   Entity `json:"entity"`
	Revision uint64 `json:"revision"`
}

// An Event is one committed transaction as the history tells it.
type Event struct {
	Revision      uint64   `json:"revision"`
	Kind          string   `json:"kind"` // bump, batch, migrate, put or delete
	TransactionID string   `json:"transactionId"`
	Timestamp     int64    `json:"timestamp"` // Unix milliseconds
	Actor         string   `json:"actor"`
	Changes       []Change `json:"changes"`
	Signature     string   `json:"signature"`
	KeyID         string   `json:"keyId"`
	HSL           string   `json:"hsl"`

	// Payload and Hash are those of the transaction's [Receipt]; they come only when asked for.
	Payload string `json:"payload,omitzero"`
	Hash    string `json:"hash,omitzero"`
}

// A HistoryResponse is one page of a registry's transactions, oldest first.
type HistoryResponse struct {
	Events         []Event `json:"events"`
	Revision       uint64  `json:"revision"`       // of the registry
	OldestRevision uint64  `json:"oldestRevision"` // the oldest that is kept

	// Next is the After that asks for the next page; 0 says that this was the last.
	Next uint64 `json:"next,omitzero"`
}

// A Receipt is the signed record of one transaction. A [Verifier] checks it without a server.
type Receipt struct {
	RegistryID string `json:"registryId"`
	Revision   uint64 `json:"revision"`
	Payload    string `json:"payload"`   // the exact bytes that are signed: canonical JSON
	Hash       string `json:"hash"`      // hex SHA-256 of the payload
	Signature  string `json:"signature"` // hex HMAC-SHA256 of the payload
	KeyID      string `json:"keyId"`
}

// An EntityWriteResponse answers a put or a delete. A put that changed nothing committed nothing: it
// leaves Changes empty, and TransactionID, Signature, KeyID and Timestamp too, and Revision is then that
// of the registry.
type EntityWriteResponse struct {
	Success       bool     `json:"success"`
	RegistryID    string   `json:"registryId"`
	Revision      uint64   `json:"revision"`
	TransactionID string   `json:"transactionId,omitzero"`
	Entity        *Entity  `json:"entity,omitzero"` // of a put: as it is afterwards
	Changes       []Change `json:"changes"`
	Signature     string   `json:"signature,omitzero"`
	KeyID         string   `json:"keyId,omitzero"`
	Timestamp     int64    `json:"timestamp,omitzero"` // Unix milliseconds
	HSL           string   `json:"hsl"`

	Replayed bool `json:"-"` // as in BumpResponse
}

// A RegistrySummary is one registry of a cluster.
type RegistrySummary struct {
	RegistryID string `json:"registryId"`
	Revision   uint64 `json:"revision"`
	Entities   int    `json:"entities"`  // how many it has
	Lifecycle  string `json:"lifecycle"` // as in RegistryResponse
}

// A RegistriesResponse lists the registries of a cluster by id.
type RegistriesResponse struct {
	Registries []RegistrySummary `json:"registries"`
}

// A MigrateRequest asks for the one-time import of an existing registry.
type MigrateRequest struct {
	Source   string   `json:"source"`
	Entities []Entity `json:"entities"`
}

// A MigrateResponse answers a migrate. Migrated is false when the registry had transactions already,
// and nothing was done.
type MigrateResponse struct {
	Migrated         bool        `json:"migrated"`
	RegistryID       string      `json:"registryId"`
	Revision         uint64      `json:"revision"`
	EntitiesMigrated int         `json:"entitiesMigrated"`
	Validation       *Validation `json:"validation,omitzero"`
	TransactionID    string      `json:"transactionId,omitzero"`
	Timestamp        int64       `json:"timestamp,omitzero"` // Unix milliseconds
	Signature        string      `json:"signature,omitzero"`
	KeyID            string      `json:"keyId,omitzero"`

	Replayed bool `json:"-"` // as in BumpResponse
}

// A Finding is one thing that validation has to say about an entity.
type Finding struct {
	Code     string `json:"code"`
	EntityID string `json:"entityId"`
	Message  string `json:"message"`
}

// A Validation is what was found in a whole registry. Only errors make it invalid.
type Validation struct {
	Valid    bool      `json:"valid"`
	Errors   []Finding `json:"errors"`
	Warnings []Finding `json:"warnings"`
	Info     []Finding `json:"info"`
}

// MarshalJSON writes a list without findings as [], never as null.
func (v Validation) MarshalJSON() ([]byte, error) {
	type plain Validation // without this method
	for _, list := range []*[]Finding{&v.Errors, &v.Warnings, &v.Info} {
		if *list == nil {
			*list = []Finding{}
		}
	}
	return json.Marshal(plain(v))
}

// Health is how one node does, by its own account.
type Health struct {
	Status     string `json:"status"`
	Lifecycle  string `json:"lifecycle"` // as in RegistryResponse
	ThreadID   string `json:"threadId"`
	RegistryID string `json:"registryId"`
	Revision   uint64 `json:"revision"`
	Node       string `json:"node"`
	Role       string `json:"role"` // leader, follower, candidate or nonvoter
	ClusterID  string `json:"clusterId"`
	HSL        string `json:"hsl"`
}

// A NodeRequest asks to make a node a member of the cluster.
type NodeRequest struct {
	ID      string `json:"id"`
	Address string `json:"address"` // host:port of its raft port

	// Replace puts the node in the place of the member of its id, whose disk is lost.
	Replace bool `json:"replace,omitzero"`
}

// A TransferRequest asks to hand leadership over.
type TransferRequest struct {
	To string `json:"to,omitzero"` // node id; empty for the most advanced other voter
}

// ClusterStatus is the cluster as one node sees it.
type ClusterStatus struct {
	ClusterID string       `json:"clusterId"`
	Leader    string       `json:"leader"` // node id; empty when the node knows of none
	Term      uint64       `json:"term"`
	Nodes     []NodeStatus `json:"nodes"`

	// Connections are those of the node that answers which are told of transactions.
	Connections []Connection `json:"connections,omitzero"`
}

// Connection is a WebSocket, or a stream of events, of a node.
type Connection struct {
	ID            string `json:"id"`
	RegistryID    string `json:"registryId"`
	RemoteAddress string `json:"remoteAddress"` // host:port
	ConnectedAt   int64  `json:"connectedAt"`   // Unix milliseconds
	LastActivity  int64  `json:"lastActivity"`  // Unix milliseconds; when the other side last sent anything
	Revision      uint64 `json:"revision"`      // up to which everything was sent
}

// NodeStatus is one node of the cluster; nil is what an unreachable node could not say.
type NodeStatus struct {
	ID           string  `json:"id"`
	Address      string  `json:"address"` // of Raft
	HTTPAddress  *string `json:"httpAddress"`
	Voter        bool    `json:"voter"`
	Role         *string `json:"role"` // as in Health
	Reachable    bool    `json:"reachable"`
	CommitIndex  *uint64 `json:"commitIndex"`
	AppliedIndex *uint64 `json:"appliedIndex"`
	StateHash    *string `json:"stateHash"` // of the state at AppliedIndex
}

// An ErrorResponse is the body of every answer that is not a success. Calls return it as an [*Error].
type ErrorResponse struct {
	Success bool      `json:"success"` // always false
	Error   ErrorBody `json:"error"`
}

// An ErrorBody says what went wrong and what became of the request.
type ErrorBody struct {
	Code       Code         `json:"code"`
	Message    string       `json:"message"`
	Context    ErrorContext `json:"context"`
	Details    []Detail     `json:"details,omitzero"`
	Validation *Validation  `json:"validation,omitzero"`
	Outcome    Outcome      `json:"outcome"`
	HSL        string       `json:"hsl"`
}

// An ErrorContext says where it went wrong.
type ErrorContext struct {
	Domain    string `json:"domain"` // VERSION_MANAGEMENT
	Scope     string `json:"scope"`  // HTTP, WEBSOCKET or CLUSTER
	Operation string `json:"operation"`
	EntityID  string `json:"entityId,omitzero"`
	RequestID string `json:"requestId"` // as in the server's log
}

// A Detail is one fault of a request: the JSON path it lies at, and what it is.
type Detail struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}
