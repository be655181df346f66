package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A call is one request, however often it has to be sent.
type call struct {
	method string // empty means GET
	path   string // escaped, from the endpoint on
	query  url.Values
	header http.Header
	body   []byte // nil for none
	key    string // its idempotency key; a call without one changes nothing, unless it says so
	once   bool   // each endpoint is asked once at most

	changes bool // it changes something without a key: once it may be applied it is not repeated
}

// encode makes req the body of the call, none if it is nil.
func (call *call) encode(req any) (err error) {
	if req == nil {
		return nil
	}
	if call.body, err = json.Marshal(req); err != nil {
		return fmt.Errorf("encoding request: %w", err)
	}
	call.header.Set("Content-Type", "application/json")
	return nil
}

// An answer is what a call that succeeded brought.
type answer struct {
	endpoint string
	header   http.Header
	body     []byte
}

// write sends req, nil for no body, to a route of the client's registry, under an idempotency key unless
// it is a dry run.
func write[Resp any](ctx context.Context, c *Client, method, route string, req any, dryRun bool, options []WriteOption) (resp *Resp, replayed bool, err error) {
	call := call{method: method, path: c.path(route), header: http.Header{}}
	if err := call.encode(req); err != nil {
		return nil, false, err
	}
	for _, option := range options {
		option(&call)
	}
	switch {
	case call.header.Get("If-None-Match") != "" && method != http.MethodPut:
		return nil, false, invalid("CreateOnly is an option of Put alone")
	case dryRun:
		call.key = ""
	case call.key == "":
		call.key = newKey()
	case !isKey(call.key):
		return nil, false, invalid(fmt.Sprintf("idempotency key %q is not 1 to 255 printable ASCII characters", call.key))
	}
	resp, header, err := do[Resp](ctx, c, call)
	return resp, header.Get("Idempotency-Replayed") == "true", err
}

// do makes a call and decodes what it brought.
func do[Resp any](ctx context.Context, c *Client, call call) (*Resp, http.Header, error) {
	ans, err := c.send(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	resp := new(Resp)
	if err := json.Unmarshal(ans.body, resp); err != nil {
		return nil, nil, &Error{
			Status:         http.StatusOK,
			Message:        "decoding answer: " + err.Error(),
			Outcome:        call.outcome(OutcomeUnknown),
			Endpoint:       ans.endpoint,
			IdempotencyKey: call.key,
			err:            err,
		}
	}
	return resp, ans.header, nil
}

// outcome is what a failure of the call comes to when that of a write would come to o: a call that
// changes nothing leaves nothing unknown.
func (call *call) outcome(o Outcome) Outcome {
	if call.key == "" && !call.changes && o == OutcomeUnknown {
		return OutcomeNotApplied
	}
	return o
}

// attempt sends a call to one endpoint, once.
func (c *Client) attempt(ctx context.Context, endpoint string, call *call) (*answer, *Error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout(ctx))
	defer cancel()
	wire := wire{told: c.tells()}
	req, err := call.request(wire.watch(ctx), endpoint)
	if err != nil { // New has checked the endpoint, so this is not expected
		return nil, &Error{Message: err.Error(), Outcome: OutcomeRejected, Endpoint: endpoint, IdempotencyKey: call.key, err: err}
	}
	broken := func(err error, outcome Outcome) *Error {
		message := err.Error()
		if inner, ok := errors.AsType[*url.Error](err); ok {
			message = inner.Err.Error() // without the URL, which the error names itself
		}
		if ended := ctx.Err(); ended != nil && errors.Is(err, ended) { // which may be the attempt's end, or the call's
			message = fmt.Sprintf("no answer after %v", time.Since(start).Round(time.Millisecond))
		}
		return &Error{
			Message: message, Outcome: call.outcome(outcome), Endpoint: endpoint, IdempotencyKey: call.key,
			err: err, again: true,
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if wire.unused(err) {
			return nil, broken(err, OutcomeNotApplied)
		}
		return nil, broken(err, OutcomeUnknown)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, broken(err, OutcomeUnknown)
	}
	if resp.StatusCode/100 != 2 {
		return nil, call.refusal(endpoint, resp, body)
	}
	if isPage(resp) { // of a portal, say: what became of a write nobody knows
		return nil, &Error{
			Message: "a web page answers there, not tesd", Outcome: call.outcome(OutcomeUnknown), Endpoint: endpoint,
			IdempotencyKey: call.key, again: true, stray: true,
		}
	}
	return &answer{endpoint: endpoint, header: resp.Header, body: body}, nil
}

// isPage tells whether an answer is for people to look at. None of tesd's is.
func isPage(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
}

// request makes the HTTP request of a call to one endpoint.
func (call *call) request(ctx context.Context, endpoint string) (*http.Request, error) {
	var body io.Reader
	if call.body != nil {
		body = bytes.NewReader(call.body)
	}
	target := endpoint + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.method, target, body)
	if err != nil {
		return nil, err
	}
	for name, values := range call.header {
		req.Header[name] = values
	}
	if call.key != "" {
		req.Header.Set("Idempotency-Key", call.key)
	}
	return req, nil
}

// refusal makes an error of an answer that is not a success.
func (call *call) refusal(endpoint string, resp *http.Response, body []byte) *Error {
	status := resp.StatusCode
	e := &Error{Status: status, Endpoint: endpoint, IdempotencyKey: call.key}
	var told ErrorResponse
	if err := json.Unmarshal(body, &told); err == nil && told.Error.Code != "" {
		said := told.Error
		e.Code, e.Message, e.Outcome = said.Code, said.Message, said.Outcome
		e.Context, e.Details, e.Validation = said.Context, said.Details, said.Validation
		e.RequestID = said.Context.RequestID
	} else {
		e.Message = strings.TrimSpace(string(body[:min(len(body), 4<<10)]))
	}
	if status == http.StatusNotFound && isPage(resp) {
		e.Status, e.again, e.stray = 0, true, true // nothing was looked up
		e.Message = "a web page answers there with status 404, not tesd"
		e.Outcome = OutcomeNotApplied
	}
	if e.Outcome == "" { // not tesd's answer, so it promises nothing
		switch {
		case status == http.StatusTooManyRequests:
			e.Outcome = OutcomeNotApplied
		case status >= 500:
			e.Outcome = OutcomeUnknown
		default:
			e.Outcome = OutcomeRejected
		}
	}
	e.Outcome = call.outcome(e.Outcome)
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.again = e.Outcome != OutcomeRejected
	}
	return e
}

// A wire watches whether a request got a connection to travel on.
type wire struct {
	told        bool // the transport is known to say what it does
	wanted, got atomic.Bool
}

// tells reports whether the client's transport is net/http's, which says when a request gets a connection.
func (c *Client) tells() bool {
	_, native := c.http.Transport.(*http.Transport)
	return native || c.http.Transport == nil
}

// watch makes the wire see the requests of the context that it returns.
func (w *wire) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.got.Store(true) },
	})
}

// unused tells whether the request that failed with err certainly did not leave this machine. A
// transport that is not net/http's may report no connections; its word is then taken for dial errors
// alone.
func (w *wire) unused(err error) bool {
	if w.told || w.wanted.Load() {
		return !w.got.Load()
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
