package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Backup tells of a backup that was taken.
type Backup struct {
	Node         string // that answered
	ClusterID    string
	AppliedIndex uint64 // of the last log entry that is in it
	StateHash    string // hex; the restored state has the same
	Bytes        int64
}

// Backup writes the whole state of the cluster to w, as of one moment: every registry with its history
// and all idempotency keys, and the signing key if the cluster made it. Keep it as you would keep that.
// It can be restored on the command line, by "tesd restore".
//
// By default the state holds all that was acknowledged before, which needs a leader; [Stale] takes what
// one node has, also when the others are gone. Each endpoint is asked once at most, and none after
// something has been written: with an error, what w was given is of no use. A node has as long to begin as
// an attempt of other calls has; only the context bounds the time that the rest takes.
func (c *Client) Backup(ctx context.Context, w io.Writer, options ...ReadOption) (*Backup, error) {
	q := url.Values{}
	for _, option := range options {
		option(q)
	}
	call := call{method: http.MethodGet, path: "/cluster/backup", query: q}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	var failed *Error
	for i := range c.endpoints {
		endpoint := c.endpoints[(int(c.good.Load())+i)%len(c.endpoints)]
		var resp *http.Response
		if resp, failed = c.open(ctx, begin, endpoint, &call); failed == nil {
			defer resp.Body.Close()
			return receive(resp, w, endpoint)
		}
		if !failed.again || begin.Err() != nil {
			break
		}
	}
	return nil, failed
}

// open sends a call to one endpoint and returns its answer, whose body has not been read and ends with
// ctx. It gives up when begin ends, or sooner, so that other endpoints have their chance.
func (c *Client) open(ctx, begin context.Context, endpoint string, call *call) (*http.Response, *Error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(attemptTimeout(begin), func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	broken := func(err error) *Error {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("no backup has begun: %w", cause)
		}
		cancel(nil)
		return &Error{Message: err.Error(), Outcome: OutcomeNotApplied, Endpoint: endpoint, err: err, again: true}
	}
	req, err := call.request(ctx, endpoint)
	if err != nil {
		return nil, broken(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, broken(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, broken(err)
	}
	return nil, call.refusal(endpoint, resp, body)
}

// receive copies a backup and reads what was said about it.
func receive(resp *http.Response, w io.Writer, endpoint string) (*Backup, error) {
	h := resp.Header
	b := &Backup{Node: h.Get("Tes-Node"), ClusterID: h.Get("Tes-Cluster"), StateHash: h.Get("Tes-State-Hash")}
	var err error
	if b.AppliedIndex, err = strconv.ParseUint(h.Get("Tes-Applied-Index"), 10, 64); err != nil || b.StateHash == "" {
		return nil, fmt.Errorf("%s does not answer as a node of tesd does", endpoint)
	}
	if b.Bytes, err = io.Copy(w, resp.Body); err != nil {
		return nil, fmt.Errorf("receiving the backup from %s: %w", endpoint, err)
	}
	return b, nil
}
