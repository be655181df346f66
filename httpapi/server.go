package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/feed"
)

// requestTimeout is the deadline of a write and of a read; one that shares it may have [sharing] less.
const requestTimeout = 10 * time.Second

// Node is what the server needs of the cluster. All methods are safe for concurrent
// use and may be called at any time, also before the cluster has been founded.
type Node interface {
	// Propose carries out a command. A refusal by the state machine stands in the
	// result; the error is one of package cluster's.
	Propose(context.Context, fsm.Command) (fsm.Result, error)
	// Read returns a state as fresh as asked for; the error is one of package cluster's.
	Read(context.Context, cluster.ReadOptions) (fsm.View, error)
	// View returns this node's own state at once.
	View() fsm.View
	// Sign returns the signature of a receipt's payload.
	Sign(payload []byte) (string, error)
	// Status returns what this node knows about itself, at once.
	Status() cluster.Status
	// Leader returns the id of the node that leads, as far as this one knows, and TakesWrites
	// whether this node is fit for them: what else Status has costs more than a read.
	Leader() string
	TakesWrites() bool
	// Members returns the cluster's nodes. It asks them, in a bounded time.
	Members(context.Context) []cluster.Member
	// AddNode makes a node a member, RemoveNode takes one out, TransferLeadership makes one
	// lead, any if the id is empty. The error is one of package cluster's.
	AddNode(ctx context.Context, id, address string, replace bool) error
	RemoveNode(ctx context.Context, id string) error
	TransferLeadership(ctx context.Context, id string) error
	// Feed returns the transactions of this node, as it applies them.
	Feed() *feed.Feed
	// Ready returns the checks of this node's readiness, at once.
	Ready() []cluster.Check
}

// Logger takes structured log lines: a message, then names and values in turn. It
// must not block. An hclog.Logger is one.
type Logger interface {
	IsInfo() bool // whether lines of the level info are kept
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// Config is what a [Server] is made of. The fields without a default are required.
type Config struct {
	Node            Node
	DefaultRegistry string        // the registry that the routes below /version are about
	AlarmTimeout    time.Duration // how long a registry is without transactions before it counts as TERMINATED
	Log             Logger

	CacheTTL time.Duration // how long encoded answers that nobody asks for stay in memory; 0 for 60 s

	MaxConnections int           // that are told of transactions, at once
	Heartbeat      time.Duration // after which they are told at least that the node lives; 0 for 30 s
	Patience       time.Duration // how long one of them may take nothing of what it is sent; 0 for 5 s

	Version      string           // of this build, for metrics and the OpenAPI document; default "(devel)"
	Now          func() time.Time // the clock of lifecycles and durations; default time.Now
	NewRequestID func() string    // names requests that come without an id; default 128 random bits
}

// Server answers HTTP requests. It is safe for concurrent use.
type Server struct {
	node            Node
	nodeID          string
	defaultRegistry string
	alarmTimeout    time.Duration
	log             Logger
	now             func() time.Time
	newRequestID    func() string

	heartbeat time.Duration
	patience  time.Duration

	connections *connections
	more        chan struct{} // closed: what those wait for who need not wait
	encodings   *encodings
	deadlines   deadlines
	pieces      sync.Pool // of *bytes.Buffer, for answers on their way out

	routes   table
	metrics  *metrics
	document []byte // of OpenAPI
	draining atomic.Bool
}

// New returns the server of a node. It starts nothing.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Node == nil:
		return nil, errors.New("a server needs a node")
	case cfg.Log == nil:
		return nil, errors.New("a server needs a log")
	case cfg.AlarmTimeout <= 0:
		return nil, fmt.Errorf("alarm timeout is %v, it must be above 0", cfg.AlarmTimeout)
	}
	if err := fsm.CheckRegistryID(cfg.DefaultRegistry); err != nil {
		return nil, fmt.Errorf("checking the default registry: %w", err)
	}
	s := &Server{
		node: cfg.Node, nodeID: cfg.Node.Status().NodeID, defaultRegistry: cfg.DefaultRegistry,
		alarmTimeout: cfg.AlarmTimeout, log: cfg.Log, now: cfg.Now, newRequestID: cfg.NewRequestID,
		routes: newTable(),
	}
	s.heartbeat = cmp.Or(cfg.Heartbeat, 30*time.Second)
	s.patience = cmp.Or(cfg.Patience, 5*time.Second)
	s.connections = newConnections(cfg.MaxConnections)
	s.more = make(chan struct{})
	close(s.more)
	s.pieces.New = func() any { return new(bytes.Buffer) }
	s.encodings = newEncodings(cmp.Or(cfg.CacheTTL, 60*time.Second))
	if s.now == nil {
		s.now = time.Now
	}
	if s.newRequestID == nil {
		s.newRequestID = randomID
	}
	version := cmp.Or(cfg.Version, "(devel)")
	s.metrics = newMetrics(s, version)
	var err error
	if s.document, err = newDocument(version); err != nil {
		return nil, fmt.Errorf("describing the API: %w", err)
	}
	return s, nil
}

// randomID names a request. Nobody else will have had the name; it need not be hard to guess, and
// crypto/rand.Text takes four times as long.
func randomID() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), rand.Uint64())
	return hex.EncodeToString(binary.BigEndian.AppendUint64(b, rand.Uint64()))
}

// Handler returns the handler of all routes.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Drain makes the server refuse what is not about this node alone with SHUTTING_DOWN,
// and the node not ready. It cannot be taken back.
func (s *Server) Drain() { s.draining.Store(true) }

// Close ends the connections that are told of transactions, and waits until they have ended,
// two seconds or so. It makes sense after [Server.Drain].
func (s *Server) Close() {
	s.connections.end(cluster.ErrShuttingDown)
	s.connections.group.Wait()
	s.encodings.close()
}
