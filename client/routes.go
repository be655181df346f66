package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// Bump raises the version of an entity and of all that moves with it. A dry run is a read: it takes no
// idempotency key.
func (c *Client) Bump(ctx context.Context, req BumpRequest, options ...WriteOption) (*BumpResponse, error) {
	resp, replayed, err := write[BumpResponse](ctx, c, http.MethodPost, "/bump", req, req.DryRun, options)
	if err != nil {
		return nil, err
	}
	resp.Replayed = replayed
	return resp, nil
}

// Batch makes several bumps in one transaction. A dry run is a read: it takes no idempotency key.
func (c *Client) Batch(ctx context.Context, req BatchRequest, options ...WriteOption) (*BatchResponse, error) {
	resp, replayed, err := write[BatchResponse](ctx, c, http.MethodPost, "/batch", req, req.DryRun, options)
	if err != nil {
		return nil, err
	}
	resp.Replayed = replayed
	return resp, nil
}

// Migrate imports an existing registry into one without transactions. Into any other it changes
// nothing, and says so.
func (c *Client) Migrate(ctx context.Context, req MigrateRequest, options ...WriteOption) (*MigrateResponse, error) {
	entities := make([]Entity, len(req.Entities)) // the caller keeps his own as they are
	for i, e := range req.Entities {
		entities[i] = e.withFiles()
	}
	req.Entities = entities
	resp, replayed, err := write[MigrateResponse](ctx, c, http.MethodPost, "/migrate", req, false, options)
	if err != nil {
		return nil, err
	}
	resp.Replayed = replayed
	return resp, nil
}

// Put creates an entity, or replaces one. It replaces all but the version, which moves by bumps alone: an
// empty CurrentVersion keeps the stored one, and another than the stored is refused with
// [CodeVersionConflict]. To create an entity needs a CurrentVersion. The first put into a registry that
// does not exist makes it.
func (c *Client) Put(ctx context.Context, entity Entity, options ...WriteOption) (*EntityWriteResponse, error) {
	body := struct {
		Entity
		CurrentVersion string `json:"currentVersion,omitzero"` // which keeps the stored one only if it is left out
	}{entity.withFiles(), entity.CurrentVersion}
	return c.writeEntity(ctx, http.MethodPut, entity.ID, body, options)
}

// Delete removes an entity that has no children. Its id keeps its last version: it can come back above it
// only.
func (c *Client) Delete(ctx context.Context, id string, options ...WriteOption) (*EntityWriteResponse, error) {
	return c.writeEntity(ctx, http.MethodDelete, id, nil, options)
}

func (c *Client) writeEntity(ctx context.Context, method, id string, req any, options []WriteOption) (*EntityWriteResponse, error) {
	if id == "" {
		return nil, errNoEntity()
	}
	resp, replayed, err := write[EntityWriteResponse](ctx, c, method, "/entities/"+url.PathEscape(id), req, false, options)
	if err != nil {
		return nil, err
	}
	resp.Replayed = replayed
	return resp, nil
}

// Registries lists the registries of the cluster. [MinRevision], which is about one registry, is not for
// it.
func (c *Client) Registries(ctx context.Context, options ...ReadOption) (*RegistriesResponse, error) {
	q := url.Values{}
	for _, option := range options {
		option(q)
	}
	resp, _, err := do[RegistriesResponse](ctx, c, call{path: "/registries", query: q})
	return resp, err
}

// RegistryOptions select the entities of a registry that [Client.Registry] answers; zero fields select
// all of them.
type RegistryOptions struct {
	Type        string // of this type
	Parent      string // with this parent
	DisplayInUI *bool  // shown in the UI, or not
	Query       string // matching this text
	After       string // whose ids are above this one
	Limit       int    // no more than this many, 1 to 1,000; 0 for all
}

// Registry reads the registry and its entities.
func (c *Client) Registry(ctx context.Context, o RegistryOptions, options ...ReadOption) (*RegistryResponse, error) {
	q := url.Values{}
	setText(q, "type", o.Type)
	setText(q, "parent", o.Parent)
	if o.DisplayInUI != nil {
		q.Set("displayInUi", strconv.FormatBool(*o.DisplayInUI))
	}
	setText(q, "q", o.Query)
	setText(q, "after", o.After)
	if o.Limit != 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	return read[RegistryResponse](ctx, c, "/registry", q, options)
}

// Entity reads one entity.
func (c *Client) Entity(ctx context.Context, id string, options ...ReadOption) (*EntityResponse, error) {
	if id == "" {
		return nil, errNoEntity()
	}
	return read[EntityResponse](ctx, c, "/entities/"+url.PathEscape(id), url.Values{}, options)
}

// errNoEntity is for an id that was never set: its path would be that of something else.
func errNoEntity() error { return invalid("the id of the entity is empty") }

// HistoryOptions select the transactions that [Client.History] answers.
type HistoryOptions struct {
	After    uint64 // those after this revision
	All      bool   // fails with [CodeRevisionCompacted] unless all of those are kept, also if After is 0
	Limit    int    // no more than this many; 0 leaves it to the server, which gives at most 1,000
	Last     int    // the newest this many, unless 0
	EntityID string // those that changed this entity, unless empty
	Receipts bool   // each with its payload and hash, for a [Verifier]
}

// History reads one page of the registry's transactions, oldest first.
func (c *Client) History(ctx context.Context, o HistoryOptions, options ...ReadOption) (*HistoryResponse, error) {
	q := url.Values{}
	if o.After != 0 || o.All {
		q.Set("after", strconv.FormatUint(o.After, 10))
	}
	if o.Limit != 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Last != 0 {
		q.Set("last", strconv.Itoa(o.Last))
	}
	setText(q, "entityId", o.EntityID)
	if o.Receipts {
		q.Set("receipts", "true")
	}
	return read[HistoryResponse](ctx, c, "/history", q, options)
}

// Receipt reads the receipt of the transaction that made this revision.
func (c *Client) Receipt(ctx context.Context, revision uint64, options ...ReadOption) (*Receipt, error) {
	return read[Receipt](ctx, c, "/receipts/"+strconv.FormatUint(revision, 10), url.Values{}, options)
}

// Health reads how a node does: of the endpoints, each asked once at most, the first that answers.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	resp, _, err := do[Health](ctx, c, call{path: c.path("/health"), once: true})
	return resp, err
}

// Cluster reads the cluster as a node sees it: of the endpoints, each asked once at most, the first
// that answers.
func (c *Client) Cluster(ctx context.Context) (*ClusterStatus, error) {
	resp, _, err := do[ClusterStatus](ctx, c, call{path: "/cluster", once: true})
	return resp, err
}

// AddNode makes a node a member, at first without a vote; it is given one when it has caught up. For a
// member it changes the address. The answer is the cluster after it.
func (c *Client) AddNode(ctx context.Context, req NodeRequest) (*ClusterStatus, error) {
	return c.changeCluster(ctx, http.MethodPost, "/cluster/nodes", req)
}

// RemoveNode takes a node out of the cluster. The answer is the cluster after it.
func (c *Client) RemoveNode(ctx context.Context, id string) (*ClusterStatus, error) {
	if id == "" {
		return nil, invalid("the id of the node is empty")
	}
	return c.changeCluster(ctx, http.MethodDelete, "/cluster/nodes/"+url.PathEscape(id), nil)
}

// TransferLeadership hands leadership over to another node. The answer is the cluster after it.
func (c *Client) TransferLeadership(ctx context.Context, req TransferRequest) (*ClusterStatus, error) {
	return c.changeCluster(ctx, http.MethodPost, "/cluster/transfer", req)
}

// changeCluster makes a change of the membership. It has no idempotency key, as it is about no registry; to
// repeat one whose outcome is unknown does no harm, but the client leaves that to its caller.
func (c *Client) changeCluster(ctx context.Context, method, path string, req any) (*ClusterStatus, error) {
	call := call{method: method, path: path, header: http.Header{}, changes: true}
	if err := call.encode(req); err != nil {
		return nil, err
	}
	resp, _, err := do[ClusterStatus](ctx, c, call)
	return resp, err
}

// Ready asks the endpoints, each once at most, for a node that is ready to serve. The report has a line
// a check; without an error it is that of the first ready node, with one that of the last asked, if it
// said anything. Make a client of one endpoint to ask a certain node.
func (c *Client) Ready(ctx context.Context) (report string, err error) {
	ans, err := c.send(ctx, call{path: "/readyz", query: url.Values{"verbose": {"true"}}, once: true})
	if refused, ok := errors.AsType[*Error](err); ok && refused.Status != 0 {
		return refused.Message, err
	} else if err != nil {
		return "", err
	}
	return string(ans.body), nil
}

// read gets a route of the client's registry.
func read[Resp any](ctx context.Context, c *Client, route string, q url.Values, options []ReadOption) (*Resp, error) {
	for _, option := range options {
		option(q)
	}
	resp, _, err := do[Resp](ctx, c, call{path: c.path(route), query: q})
	return resp, err
}

// setText sets a parameter unless it is empty.
func setText(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}
