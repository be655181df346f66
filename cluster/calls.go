package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// The calls between nodes: many at a time on one connection per peer.

// method is what is called. The numbers travel: a new one goes to the end.
type method byte

const (
	methodPropose method = iota + 1
	methodReadIndex
	methodTerm
	methodStatus
	methodProbe
	methodState
	methodChange
)

type (
	// proposeCall carries commands to the leader, encoded as the log has them, and how
	// many entities each may move; the three lists are as long as each other. To is who the
	// sender takes for the leader: at its address may be the leader of another cluster by now.
	proposeCall struct {
		To       raft.ServerID
		From     string // node id
		Commands [][]byte
		Reach    []int
		Requests []string // the ids of the requests that they came with, for the log
	}
	proposeReply struct{ Outcomes []forwarded }

	// readIndexCall asks the leader for a read index. Term was read at the sender after
	// the reads that it serves had arrived.
	readIndexCall struct {
		From raft.ServerID
		Term uint64
	}
	readIndexReply struct {
		Index  uint64
		Fault  fault
		Detail string
	}

	termCall struct{}
	// termReply carries the identity of the node that answered, so that a node found
	// under another's address is never counted for it.
	termReply struct {
		ID   raft.ServerID
		Term uint64
	}

	statusCall  struct{}
	statusReply struct {
		ID     raft.ServerID // of the node that answered, as in termReply
		Status Status
	}

	// probeCall asks a node who it is and what it is part of. Decider names who would
	// decide on the founders, and in which life; a leader that asks leaves it empty.
	probeCall  struct{ Decider founder }
	probeReply struct {
		Self        founder
		Initialised bool      // it is, or was, a member of a cluster
		Founders    []founder // if it is a founding member
		ClusterID   string    // once it knows
		Members     []raft.Server
		Led         bool // it leads or knows who does
	}

	// stateCall asks a voter what its state was at an index that it has reached or soon will.
	stateCall struct{ Index uint64 }
	// stateReply is not Known if the node does not know (any more). Leads says that it leads
	// Term.
	stateReply struct {
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
	changeCall struct {
		To      raft.ServerID // who the sender takes for the leader
		Kind    changeKind
		NodeID  string
		Address string // of the raft port, to add
		Replace bool   // to add: in place of a node of that id that is lost
	}
	changeReply struct {
		Fault  fault
		Detail string
	}
)

// errNotSent marks an error of a call that certainly did not reach the peer.
var errNotSent = errors.New("the call was not sent")

// callError is an error that the node that was called answered with.
type callError string

// Error returns what the node said.
func (e callError) Error() string { return string(e) }

// caller holds the connections to the peers, one each, made when first needed.
type caller struct {
	dial func(ctx context.Context, address string) (net.Conn, error)

	mu     sync.Mutex
	peers  map[string]*peer // by address; nil once closed
	closed bool

	receivers sync.WaitGroup // one for each connection, also if it is dropped
}

func newCaller(dial func(context.Context, string) (net.Conn, error)) *caller {
	return &caller{dial: dial, peers: make(map[string]*peer)}
}

// call calls a method of the node at address and waits for the reply or for ctx. An
// error that wraps errNotSent proves that nothing was sent.
//
// A connection may have ended unnoticed since the last call, with the process at its other
// end; what was not sent for that reason is sent once more.
func call[Reply, Call any](ctx context.Context, c *caller, address string, m method, request Call) (Reply, error) {
	reply, err := callOnce[Reply](ctx, c, address, m, &request)
	if errors.Is(err, errEnded) {
		return callOnce[Reply](ctx, c, address, m, &request)
	}
	return reply, err
}

func callOnce[Reply any](ctx context.Context, c *caller, address string, m method, request any) (reply Reply, err error) {
	peer, err := c.peer(ctx, address)
	if err != nil {
		return reply, fmt.Errorf("%w: %w", errNotSent, err)
	}
	number, done, err := peer.send(ctx, m, request)
	if err != nil {
		if errors.Is(err, errEnded) {
			c.drop(address, peer)
		}
		return reply, fmt.Errorf("%w: %w", errNotSent, err)
	}
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		peer.take(number)
		return reply, ctx.Err()
	}
	if err = a.open(&reply); err == nil {
		return reply, nil
	}
	if _, ok := errors.AsType[callError](err); !ok {
		c.drop(address, peer)
	}
	return *new(Reply), err
}

func (c *caller) peer(ctx context.Context, address string) (*peer, error) {
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.peers[address]; c.closed || other != nil {
		conn.Close()
		if c.closed {
			return nil, ErrShuttingDown
		}
		return other, nil
	}
	peer = newPeer(conn)
	c.peers[address] = peer
	c.receivers.Go(peer.receive)
	return peer, nil
}

// drop forgets a connection that broke.
func (c *caller) drop(address string, peer *peer) {
	peer.end(net.ErrClosed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers[address] == peer {
		delete(c.peers, address)
	}
}

// close ends all connections and waits until they have; calls under way fail.
func (c *caller) close() {
	defer c.receivers.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, peer := range c.peers { // any order: all are closed
		peer.end(net.ErrClosed)
	}
	c.peers = nil
}

// service is what this node answers to the calls of its peers.
type service struct{ n *Node }

// handle carries out a call.
func (s *service) handle(m method, request []byte) (reply any, err error) {
	switch m {
	case methodPropose:
		return handle(request, s.propose)
	case methodReadIndex:
		return handle(request, s.readIndex)
	case methodTerm:
		return handle(request, s.term)
	case methodStatus:
		return handle(request, s.status)
	case methodProbe:
		return handle(request, s.probe)
	case methodState:
		return handle(request, s.state)
	case methodChange:
		return handle(request, s.change)
	}
	return nil, errors.New("this node does not know such a call")
}

func handle[Call, Reply any](request []byte, method func(Call, *Reply) error) (any, error) {
	call, reply := new(Call), new(Reply)
	if err := decodeMessage(request, call); err != nil {
		return nil, err
	}
	return reply, method(*call, reply)
}

// propose queues the commands of another node and answers when all have an outcome.
func (s *service) propose(call proposeCall, reply *proposeReply) error {
	if c := s.n.started(); c == nil || c.index.id != call.To {
		for range call.Commands {
			reply.Outcomes = append(reply.Outcomes, forwarded{Fault: faultNotLeader})
		}
		return nil
	}
	s.n.proposer.serve(call, reply)
	return nil
}

// readIndex answers the leader's part of a read index round.
func (s *service) readIndex(call readIndexCall, reply *readIndexReply) error {
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

// term answers this node's current term.
func (s *service) term(_ termCall, reply *termReply) error {
	c := s.n.started()
	if c == nil {
		return errNotLeader
	}
	*reply = termReply{c.index.id, c.raft.CurrentTerm()}
	return nil
}

// status answers what this node knows about itself.
func (s *service) status(_ statusCall, reply *statusReply) error {
	*reply = statusReply{s.n.port.id, s.n.Status()}
	return nil
}

// probe answers who this node is and what it is part of.
func (s *service) probe(call probeCall, reply *probeReply) error {
	*reply = s.n.founding.probed(call)
	if c := s.n.started(); c != nil {
		reply.Members, reply.Led = c.raft.GetConfiguration().Configuration().Servers, c.leader.get().id != ""
	}
	return nil
}

// state answers what this node's state was at an index.
func (s *service) state(call stateCall, reply *stateReply) error {
	c := s.n.started()
	if c == nil {
		return errNotLeader
	}
	*reply = s.n.stateAt(c, call.Index)
	return nil
}

// change changes the membership, if this node leads.
func (s *service) change(call changeCall, reply *changeReply) error {
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
