package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"net/rpc"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// The calls between nodes, over net/rpc: many at a time on one connection per peer.
// net/rpc wants argument types that are exported or have no name; these have none.

type (
	// proposeCall carries commands to the leader, encoded as the log has them, and how
	// many entities each may move.
	proposeCall = struct {
		Commands [][]byte
		Reach    []int
	}
	proposeReply = struct{ Outcomes []forwarded }

	// readIndexCall asks the leader for a read index. Term was read at the sender after
	// the reads that it serves had arrived.
	readIndexCall = struct {
		From raft.ServerID
		Term uint64
	}
	readIndexReply = struct{ Index uint64 }

	termCall = struct{}
	// termReply carries the identity of the node that answered, so that a node found
	// under another's address is never counted for it.
	termReply = struct {
		ID   raft.ServerID
		Term uint64
	}

	statusCall  = struct{}
	statusReply = struct{ Status Status }

	// probeCall asks a founding member how far it is. Decider names who would decide on
	// the founders, and in which life.
	probeCall  = struct{ Decider founder }
	probeReply = struct {
		Self     founder
		Founders []founder // empty while the member is uninitialised
	}
)

// forwarded is the outcome of one command at the leader.
type forwarded struct {
	Result fsm.Result
	Fault  fault
	Detail string
}

// fault is an error of this package in the form that travels.
type fault uint8

const (
	noFault fault = iota
	faultNotLeader
	faultNotReady
	faultBusy
	faultUnknown
)

func faultOf(err error) fault {
	switch {
	case err == nil:
		return noFault
	case errors.Is(err, ErrUnknownOutcome):
		return faultUnknown
	case errors.Is(err, ErrBusy):
		return faultBusy
	case errors.Is(err, errNotLeader), errors.Is(err, ErrShuttingDown):
		return faultNotLeader
	}
	return faultNotReady
}

func (f *forwarded) err() error {
	switch f.Fault {
	case noFault:
		return nil
	case faultNotLeader:
		return errNotLeader
	case faultNotReady:
		return notReady("%s", f.Detail)
	case faultBusy:
		return ErrBusy
	}
	return unknown(errors.New(f.Detail))
}

// errNotSent marks an error of a call that certainly did not reach the peer.
var errNotSent = errors.New("the call was not sent")

// caller holds the connections to the peers, one each, made when first needed.
type caller struct {
	dial func(ctx context.Context, address string) (net.Conn, error)

	mu     sync.Mutex
	peers  map[string]*rpc.Client // by address; nil once closed
	closed bool
}

func newCaller(dial func(context.Context, string) (net.Conn, error)) *caller {
	return &caller{dial: dial, peers: make(map[string]*rpc.Client)}
}

// call calls a method of the node at address and waits for the reply or for ctx. An
// error that wraps errNotSent proves that nothing was sent. The reply is made here:
// net/rpc may still write to it after the caller has given up.
func call[Reply any](ctx context.Context, c *caller, address, method string, args any) (Reply, error) {
	reply, none := new(Reply), *new(Reply)
	peer, err := c.peer(ctx, address)
	if err != nil {
		return none, errors.Join(errNotSent, err)
	}
	call := peer.Go("Node."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if call.Error == nil {
		return *reply, nil
	}
	if _, ok := errors.AsType[rpc.ServerError](call.Error); !ok {
		c.drop(address, peer)
	}
	if errors.Is(call.Error, rpc.ErrShutdown) { // the connection had ended before, see peerConn
		return none, errors.Join(errNotSent, call.Error)
	}
	return none, call.Error
}

func (c *caller) peer(ctx context.Context, address string) (*rpc.Client, error) {
	c.mu.Lock()
	peer, closed := c.peers[address], c.closed
	c.mu.Unlock()
	if closed {
		return nil, ErrShuttingDown
	} else if peer != nil {
		return peer, nil
	}
	conn, err := c.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	peer = rpc.NewClient(peerConn{conn})
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.peers[address]; c.closed || other != nil {
		peer.Close()
		if c.closed {
			return nil, ErrShuttingDown
		}
		return other, nil
	}
	c.peers[address] = peer
	return peer, nil
}

// drop forgets a connection that broke.
func (c *caller) drop(address string, peer *rpc.Client) {
	peer.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers[address] == peer {
		delete(c.peers, address)
	}
}

// close ends all connections; calls under way fail.
func (c *caller) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, peer := range c.peers { // any order: all are closed
		peer.Close()
	}
	c.peers = nil
}

// peerConn is a connection to a peer, mended where net/rpc falls short.
type peerConn struct{ net.Conn }

const writeStall = 5 * time.Second

// Write breaks a connection whose peer takes nothing: net/rpc writes while it holds a
// lock, and all calls to the peer would wait behind one write.
func (c peerConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeStall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Read never ends with io.EOF. net/rpc answers ErrShutdown to a call that it did not
// send, and turns an EOF into the same for calls that it did send; so it proves that a
// call was not sent.
func (c peerConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// service is what this node answers to the calls of its peers. net/rpc finds the
// methods by their form; each runs in a goroutine of its own.
type service struct{ n *Node }

func newServer(n *Node) (*rpc.Server, error) {
	s := rpc.NewServer()
	return s, s.RegisterName("Node", &service{n})
}

// Propose queues the commands of another node and answers when all have an outcome.
func (s *service) Propose(call proposeCall, reply *proposeReply) error {
	s.n.proposer.serve(call, reply)
	return nil
}

// ReadIndex answers the leader's part of a read index round.
func (s *service) ReadIndex(call readIndexCall, reply *readIndexReply) (err error) {
	c := s.n.started()
	if c == nil {
		return errNotLeader
	}
	ctx, cancel := context.WithTimeout(s.n.life, roundTimeout)
	defer cancel()
	reply.Index, err = c.index.serve(ctx, call)
	return err
}

// Term answers this node's current term.
func (s *service) Term(_ termCall, reply *termReply) error {
	c := s.n.started()
	if c == nil {
		return errNotLeader
	}
	*reply = termReply{c.index.id, c.raft.CurrentTerm()}
	return nil
}

// Status answers what this node knows about itself.
func (s *service) Status(_ statusCall, reply *statusReply) error {
	reply.Status = s.n.Status()
	return nil
}

// Probe answers how far this node is with founding the cluster.
func (s *service) Probe(call probeCall, reply *probeReply) error {
	*reply = s.n.founding.probed(call)
	return nil
}
