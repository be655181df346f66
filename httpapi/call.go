package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
)

// call is one request on its way through the server.
type call struct {
	s        *Server
	w        http.ResponseWriter // for headers; the answer is written when the handler is done
	r        *http.Request
	id       string // the request's id
	route    *route // nil if there is none for it
	registry string // the one that the request is about
	tail     string // the variable part of the path
	entityID string // the one that the request is about, for errors
	scope    string // where it came in; "" for HTTP
	name     string // of the operation, if it is not the route's
	proposed bool   // a command was handed to the cluster: its outcome may be unknown

	values [10]string // what set has set so far
	count  int
}

// answer is what a handler makes of a call.
type answer struct {
	status      int    // 0 stands for 200
	contentType string // "" stands for application/json
	body        []byte

	stream   func(io.Writer) error // writes the body instead, if not nil
	hijacked bool                  // the connection was taken over, and has been served
}

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{s: s, w: w, r: r}
	if ids := r.Header["X-Request-Id"]; len(ids) > 0 && saneRequestID(ids[0]) {
		c.id = ids[0]
	} else {
		c.id = s.newRequestID()
	}
	c.set("Tes-Request-Id", c.id)
	c.set("Tes-Node", s.nodeID)
	c.set("Cache-Control", "no-cache")
	if id := s.node.View().Cluster().ClusterID; id != "" {
		c.set("Tes-Cluster", id)
	}
	a, err := c.run()
	if err != nil {
		a = c.refuse(err)
	}
	s.metrics.answered(c.operation(), c.write(a))
}

// set sets a header of the answer. The name must be in canonical form. It is what each answer
// does several times: [http.Header.Set] looks for that form each time, and allocates.
func (c *call) set(name, value string) {
	i := c.count
	if i == len(c.values) {
		c.w.Header()[name] = []string{value}
		return
	}
	c.values[i] = value
	c.count++
	c.w.Header()[name] = c.values[i : i+1 : i+1]
}

// operation is what the call is named by in errors and metrics.
func (c *call) operation() string {
	if c.name != "" {
		return c.name
	}
	if c.route == nil {
		return "route"
	}
	return c.route.operation
}

// run finds the handler and runs it. A panic of the handler becomes an error.
func (c *call) run() (a *answer, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
			panic(p)
		}
		a, err = nil, &failure{code: client.CodeInternal, cause: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
	}()
	if err := c.s.routes.find(c, c.s.defaultRegistry); err != nil {
		return nil, err
	}
	if c.s.draining.Load() && !c.route.local {
		return nil, cluster.ErrShuttingDown
	}
	return c.route.handle(c.s, c)
}

// write sends the answer and returns its status. HEAD gets the headers alone.
func (c *call) write(a *answer) (status int) {
	status = a.status
	if status == 0 {
		status = http.StatusOK
	}
	if a.hijacked {
		return status
	}
	if status != http.StatusNotModified {
		contentType := a.contentType
		if contentType == "" {
			contentType = "application/json"
		}
		c.set("Content-Type", contentType)
		// Of a short body net/http finds the length by itself, and the headers of most answers then
		// fit into a map that does not have to grow.
		if a.stream == nil && (len(a.body) > shortBody || c.r.Method == http.MethodHead) {
			c.set("Content-Length", strconv.Itoa(len(a.body)))
		}
	}
	c.w.WriteHeader(status)
	switch {
	case c.r.Method == http.MethodHead:
	case a.stream == nil:
		c.writeBody(a.body)
	case a.stream(patient{c.w, http.NewResponseController(c.w)}) != nil:
		panic(http.ErrAbortHandler) // so that nobody takes what was written for the whole
	}
	return status
}

// shortBody is less, in bytes, than what net/http holds back until a handler is done.
const shortBody = 1 << 10

// jsonAnswer is the answer whose body is v.
func jsonAnswer(v any) (*answer, error) {
	body, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return &answer{body: body}, nil
}

// saneRequestID reports whether a caller's name for its request may be used as it is.
func saneRequestID(id string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:/+=-", r)
	}
	return id != "" && len(id) <= 128 && strings.IndexFunc(id, func(r rune) bool { return !ok(r) }) < 0
}

// deadline returns the context of what is rare or may take long; other calls share theirs.
func (c *call) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.r.Context(), requestTimeout)
}

// read returns a state that is as fresh as o asks for.
func (c *call) read(o cluster.ReadOptions) (fsm.View, error) {
	o.Registry = c.registry
	ctx := c.r.Context()
	if o.MinRevision > 0 { // what may take long ends with the caller, and with the server
		own, cancel := c.deadline()
		defer cancel()
		defer context.AfterFunc(c.s.connections.life, cancel)()
		ctx = own
	} else if atOnce := o == (cluster.ReadOptions{Mode: cluster.Stale, Registry: c.registry}); !atOnce || !c.s.node.View().Founded() {
		ctx = c.s.deadlines.next()
	}
	view, err := c.s.node.Read(ctx, o)
	if err != nil && o.MinRevision > 0 && c.s.connections.life.Err() != nil {
		err = cluster.ErrShuttingDown
	}
	if err == nil && !view.Founded() {
		err = fmt.Errorf("%w: the cluster has not been founded yet", cluster.ErrNotReady)
	}
	return view, err
}

// readAll returns the state of all registries, as fresh as the query asks for.
func (c *call) readAll() (fsm.View, error) {
	var f intake.Faults
	q := newQuery(c.r.URL.RawQuery, &f)
	options := q.freshness()
	q.finish()
	if err := faulty(&f); err != nil {
		return fsm.View{}, err
	}
	return c.read(options)
}

// propose carries out a command. What the state machine refuses comes back as the
// [fsm.Refusal].
func (c *call) propose(cmd fsm.Command) (fsm.Result, error) {
	c.proposed = true
	origin := cluster.Origin{RequestID: c.id, Gone: c.r.Context().Done()}
	result, err := c.s.node.Propose(cluster.WithOrigin(c.s.deadlines.next(), origin), cmd)
	if err != nil {
		return fsm.Result{}, err
	}
	if result.Replayed {
		c.set("Idempotency-Replayed", "true")
	}
	if result.Refusal != nil {
		return fsm.Result{}, result.Refusal
	}
	return result, nil
}

// stamp notes the registry's revision in the headers.
func (c *call) stamp(revision uint64) {
	n := strconv.FormatUint(revision, 10)
	c.set("Etag", `"`+n+`"`)
	c.set("Tes-Revision", n)
}
