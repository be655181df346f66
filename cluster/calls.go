package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// The calls between nodes, over net/rpc: many at a time on one connection per peer.
// net/rpc wants argument types that are exported or have no name; these have none.

type (
	// proposeCall carries commands to the leader, encoded as the log has them, and how
	// many entities each may move. To is who the sender takes for the leader: at its address
	// may be the leader of another cluster by now.
	proposeCall = struct {
		To       raft.ServerID
		From     string // node id
		Commands [][]byte
		Reach    []int
		Requests []string // the ids of the requests that they came with, for the log
	}
	proposeReply = struct{ Outcomes []forwarded }

	// readIndexCall asks the leader for a read index. Term was read at the sender after
	// the reads that it serves had arrived.
	readIndexCall = struct {
		From raft.ServerID
		Term uint64
	}
	readIndexReply = struct {
		Index  uint64
		Fault  fault
		Detail string
	}

	termCall = struct{}
	// termReply carries the identity of the node that answered, so that a node found
	// under another's address is never counted for it.
	termReply = struct {
		ID   raft.ServerID
		Term uint64
	}

	statusCall  = struct{}
	statusReply = struct {
		ID     raft.ServerID // of the node that answered, as in termReply
		Status Status
	}

	// probeCall asks a node who it is and what it is part of. Decider names who would
	// decide on the founders, and in which life; a leader that asks leaves it empty.
	probeCall  = struct{ Decider founder }
	probeReply = struct {
		Self        founder
		Initialised bool      // it is, or was, a member of a cluster
		Founders    []founder // if it is a founding member
		ClusterID   string    // once it knows
		Members     []raft.Server
		Led         bool // it leads or knows who does
	}

	// stateCall asks a voter what its state was at an index that it has reached or soon will.
	stateCall = struct{ Index uint64 }
	// stateReply is not Known if the node does not know (any more). Leads says that it leads
	// Term.
	stateReply = struct {
		ID        raft.ServerID // of the node that answered, as in termReply
		ClusterID string
		Format    int // of the hash, see [fsm.StateHashFormat]
		Index     uint64
		Hash      fsm.Hash
		Known     bool
		Term      uint64
		Leads     bool
	}

	// changeCall asks the leader to change the membership.
	changeCall = struct {
		To      raft.ServerID // who the sender takes for the leader
		Kind    changeKind
		NodeID  string
		Address string // of the raft port, to add
		Replace bool   // to add: in place of a node of that id that is lost
	}
	changeReply = struct {
		Fault  fault
		Detail string
	}
)

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
//
// A connection may have ended unnoticed since the last call, with the process at its other
// end; what was not sent for that reason is sent once more.
func call[Reply any](ctx context.Context, c *caller, address, method string, args any) (Reply, error) {
	reply, err := callOnce[Reply](ctx, c, address, method, args)
	if errors.Is(err, rpc.ErrShutdown) {
		return callOnce[Reply](ctx, c, address, method, args)
	}
	return reply, err
}

func callOnce[Reply any](ctx context.Context, c *caller, address, method string, args any) (Reply, error) {
	reply, none := new(Reply), *new(Reply)
	peer, err := c.peer(ctx, address)
	if err != nil {
		return none, fmt.Errorf("%w: %w", errNotSent, err)
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
		return none, fmt.Errorf("%w: %w", errNotSent, call.Error)
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

const (
	writeStall = 5 * time.Second
	writeChunk = 256 << 10
)

// Write breaks a connection whose peer takes nothing: net/rpc writes while it holds a
// lock, and all calls to the peer would wait behind one write. A message may be as large
// as a registry, so each part of it has its own time.
func (c peerConn) Write(b []byte) (written int, err error) {
	for part := range slices.Chunk(b, writeChunk) {
		if err := c.SetWriteDeadline(time.Now().Add(writeStall)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(part)
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
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
	if c := s.n.started(); c == nil || c.index.id != call.To {
		for range call.Commands {
			reply.Outcomes = append(reply.Outcomes, forwarded{Fault: faultNotLeader})
		}
		return nil
	}
	s.n.proposer.serve(call, reply)
	return nil
}

// ReadIndex answers the leader's part of a read index round.
func (s *service) ReadIndex(call readIndexCall, reply *readIndexReply) error {
	c := s.n.started()
	if c == nil {
		return errNotLeader
	}
	index, err := c.index.serve(s.n.life, call) // a round bounds itself, and the caller has a time limit
	switch reply.Index = index; {
	case errors.Is(err, ErrNotReady):
		reply.Fault, reply.Detail = faultNotReady, err.Error()
	case err != nil: // a read leaves nothing unknown, and may be tried elsewhere
		reply.Fault = faultNotLeader
	}
	return nil
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
	*reply = statusReply{s.n.port.id, s.n.Status()}
	return nil
}

// Probe answers who this node is and what it is part of.
func (s *service) Probe(call probeCall, reply *probeReply) error {
	*reply = s.n.founding.probed(call)
	if c := s.n.started(); c != nil {
		reply.Members, reply.Led = c.raft.GetConfiguration().Configuration().Servers, c.leader.get().id != ""
	}
	return nil
}

// State answers what this node's state was at an index.
func (s *service) State(call stateCall, reply *stateReply) error {
	c := s.n.started()
	if c == nil {
		return errNotLeader
	}
	*reply = s.n.stateAt(c, call.Index)
	return nil
}

// Change changes the membership, if this node leads.
func (s *service) Change(call changeCall, reply *changeReply) error {
	ctx, cancel := context.WithTimeout(s.n.life, changeTimeout)
	defer cancel()
	c := s.n.started()
	if c == nil || c.index.id != call.To {
		*reply = changeReply{Fault: faultNotLeader}
	} else if err := s.n.changeHere(ctx, call); err != nil {
		*reply = changeReply{faultOf(err), err.Error()}
	}
	return nil
}
