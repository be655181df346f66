package client

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// An Option changes how [New] makes a client.
type Option func(*Client)

// WithRegistry selects the registry that the client works on. Without it, as with an empty id or
// [DefaultRegistry], that is the cluster's default registry.
func WithRegistry(id string) Option {
	return func(c *Client) { c.registry = id }
}

// WithTimeout bounds each call as a whole, all its attempts and waits together, to d instead of
// [DefaultTimeout]. The call's context may end it sooner.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) { c.timeout = d }
}

// WithHTTPClient makes the client send its requests by h: for TLS, credentials or a test. The client
// does not change h. A Timeout of h bounds one attempt, not a call.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) { c.http = h }
}

// A WriteOption changes one write.
type WriteOption func(*call)

// IdempotencyKey gives the write this key, 1 to 255 printable ASCII characters, instead of a random
// one of its own. Two writes of one key are one write, and both have its answer, whichever process
// sends them. An empty key changes nothing.
func IdempotencyKey(key string) WriteOption {
	return func(c *call) { c.key = key }
}

// IfMatch refuses the write, with [CodeRevisionMismatch], unless the registry is at this revision.
func IfMatch(revision uint64) WriteOption {
	return func(c *call) { c.header.Set("If-Match", strconv.Quote(strconv.FormatUint(revision, 10))) }
}

// CreateOnly refuses a put, with [CodeEntityExists], if the entity exists.
func CreateOnly() WriteOption {
	return func(c *call) { c.header.Set("If-None-Match", "*") }
}

// A ReadOption changes what one read may see. Without any, a read is linearizable: it sees every
// write that was answered before it began.
type ReadOption func(url.Values)

// Stale reads a node's own state, as old as that may be; it works without a quorum.
func Stale() ReadOption {
	return func(q url.Values) { q.Set("consistency", "stale") }
}

// MaxStale reads a node's own state if it is no older than d.
func MaxStale(d time.Duration) ReadOption {
	return func(q url.Values) {
		q.Set("consistency", "stale")
		q.Set("max_stale", d.String())
	}
}

// MinRevision waits until the node has this revision of the registry, and reads the node's own state then.
func MinRevision(revision uint64) ReadOption {
	return func(q url.Values) { q.Set("min_revision", strconv.FormatUint(revision, 10)) }
}
