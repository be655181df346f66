package client

import (
	"context"
	"errors"
	"net/url"
	"strconv"
)

// Bump raises the version of an entity and of all that moves with it. A dry run is a read: it takes no
// idempotency key.
func (c *Client) Bump(ctx context.Context, req BumpRequest, options ...WriteOption) (*BumpResponse, error) {
	resp, replayed, err := write[BumpResponse](ctx, c, "/bump", req, req.DryRun, options)
	if err != nil {
		return nil, err
	}
	resp.Replayed = replayed
	return resp, nil
}

// Batch makes several bumps in one transaction. A dry run is a read: it takes no idempotency key.
func (c *Client) Batch(ctx context.Context, req BatchRequest, options ...WriteOption) (*BatchResponse, error) {
	resp, replayed, err := write[BatchResponse](ctx, c, "/batch", req, req.DryRun, options)
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
		if e.Files == nil {
			e.Files = []File{}
		}
		entities[i] = e
	}
	req.Entities = entities
	resp, replayed, err := write[MigrateResponse](ctx, c, "/migrate", req, false, options)
	if err != nil {
		return nil, err
	}
	resp.Replayed = replayed
	return resp, nil
}

// RegistryOptions select the entities of a registry that [Client.Registry] answers; zero fields select
// all of them.
type RegistryOptions struct {
	Type        string // of this type
	Parent      string // with this parent
	DisplayInUI *bool  // shown in the UI, or not
	Query       string // matching this text
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
	return read[RegistryResponse](ctx, c, "/registry", q, options)
}

// Entity reads one entity.
func (c *Client) Entity(ctx context.Context, id string, options ...ReadOption) (*EntityResponse, error) {
	return read[EntityResponse](ctx, c, "/entities/"+url.PathEscape(id), url.Values{}, options)
}

// HistoryOptions select the transactions that [Client.History] answers.
type HistoryOptions struct {
	After    uint64 // those after this revision
	Limit    int    // no more than this many; 0 leaves it to the server, which gives at most 1,000
	Last     int    // the newest this many, unless 0
	EntityID string // those that changed this entity, unless empty
	Receipts bool   // each with its payload and hash, for a [Verifier]
}

// History reads one page of the registry's transactions, oldest first.
func (c *Client) History(ctx context.Context, o HistoryOptions, options ...ReadOption) (*HistoryResponse, error) {
	q := url.Values{}
	if o.After != 0 {
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
