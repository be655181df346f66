package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// The membership changes one node at a time, at the leader. What must hold:
//
//   - A new node begins as a non-voter, and is promoted when it and every voter have
//     caught up: a voter that has not heard of the promotion would refuse to vote for
//     it.
//   - A node that lost its disk comes back as another raft server. The old one is taken
//     out first, and only if it does not answer any more.
//   - No removal leaves a cluster without a voter, or without a majority that answers.
//   - A leader hands leadership over before it is removed.

// changeKind says what to change of the membership.
type changeKind uint8

const (
	addNode changeKind = iota + 1
	removeNode
	transferLeadership
)

// changeTimeout bounds a change of the membership at the leader.
const changeTimeout = 10 * time.Second

// AddNode makes the node whose raft port is at address a member: first a non-voter, then
// by itself, once it has caught up, a voter. The node must run and know some of the
// peers. If its id is that of a member that lost its disk, replace says to take that
// one's place. For a node that is a member already it changes the address. It may be
// called on any node. The errors are those of this package, [ErrMembership] among them.
func (n *Node) AddNode(ctx context.Context, id, address string, replace bool) error {
	return n.change(ctx, changeCall{Kind: addNode, NodeID: id, Address: address, Replace: replace})
}

// RemoveNode takes a node out of the cluster, wherever it is called. It returns
// [ErrNoNode] if there is none of that id, and [ErrMembership] if what would be left
// could not go on.
func (n *Node) RemoveNode(ctx context.Context, id string) error {
	return n.change(ctx, changeCall{Kind: removeNode, NodeID: id})
}

// TransferLeadership hands leadership to a voter, to the most advanced other one if id is empty.
func (n *Node) TransferLeadership(ctx context.Context, id string) error {
	return n.change(ctx, changeCall{Kind: transferLeadership, NodeID: id})
}

// change has the leader change the membership.
func (n *Node) change(ctx context.Context, ch changeCall) error {
	patience := n.patience()
	for {
		err := n.tryChange(ctx, ch)
		if err == nil || !errors.Is(err, errNotLeader) && !errors.Is(err, ErrNotReady) {
			return err
		}
		if err := patience.wait(ctx, nil, err); err != nil {
			return err
		}
	}
}

// tryChange asks the leader that this node knows of, once.
func (n *Node) tryChange(ctx context.Context, ch changeCall) error {
	c := n.started()
	if c == nil {
		return notReady("%s", n.unfit())
	}
	leader := c.leader.get()
	if c.raft.State() == raft.Leader {
		return n.changeHere(ctx, ch)
	} else if leader.id == "" || leader.id == c.index.id {
		return errNotLeader
	}
	ch.To = leader.id
	reply, err := call[changeReply](ctx, n.calls, leader.address, methodChange, ch)
	if errors.Is(err, errNotSent) {
		return errNotLeader
	} else if err != nil {
		return unknown(fmt.Errorf("the way to the leader broke: %w", err))
	}
	if err := reply.Fault.err(reply.Detail); err != nil {
		return err
	}
	n.hearOf(ctx, c, ch)
	return nil
}

// hearOfTimeout bounds how long a node waits for the log to bring it a change that was made.
const hearOfTimeout = time.Second

// hearOf waits until this node has heard of a change of the members that the leader has made:
// what it tells of the cluster next is then not as it was before. A node that was removed by it
// may never hear of it.
func (n *Node) hearOf(ctx context.Context, c *consensus, ch changeCall) {
	ctx, cancel := context.WithTimeout(ctx, hearOfTimeout)
	defer cancel()
	for ctx.Err() == nil {
		servers := c.raft.GetConfiguration().Configuration().Servers
		known := slices.ContainsFunc(servers, func(s raft.Server) bool {
			return nodeIDOf(s.ID) == ch.NodeID && (ch.Kind == removeNode || string(s.Address) == ch.Address)
		})
		if ch.Kind == transferLeadership || known == (ch.Kind == addNode) {
			return
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// changeHere changes the membership at the leader.
func (n *Node) changeHere(ctx context.Context, ch changeCall) error {
	if !n.changing.TryLock() {
		return notReady("another change of the membership is under way")
	}
	defer n.changing.Unlock()
	c := n.started()
	if c == nil || c.raft.State() != raft.Leader || !n.adapter.view().Founded() {
		return errNotLeader
	}
	m := n.membership(c)
	switch ch.Kind {
	case addNode:
		return m.add(ctx, ch)
	case removeNode:
		return m.remove(ctx, ch.NodeID)
	case transferLeadership:
		return m.transfer(ctx, ch.NodeID)
	}
	return membershipError("this node does not know such a change")
}

func membershipError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMembership, fmt.Sprintf(format, args...))
}

// membership is the members as the leader knows them, for the time of one change in one
// term.
type membership struct {
	n       *Node
	c       *consensus
	term    uint64
	servers []raft.Server
}

func (n *Node) membership(c *consensus) *membership {
	term := c.raft.CurrentTerm() // first: what is read later is of this term or fails
	return &membership{n, c, term, c.raft.GetConfiguration().Configuration().Servers}
}

// current returns an error if this node has lost the lead since it looked at the configuration: then others may have
// changed it.
func (m *membership) current() error {
	if m.c.raft.State() != raft.Leader || m.c.raft.CurrentTerm() != m.term {
		return errNotLeader
	}
	return nil
}

// commit changes the configuration, if it is current.
func (m *membership) commit(ctx context.Context, begin func() raft.IndexFuture) error {
	if err := m.current(); err != nil {
		return err
	}
	return m.n.await(ctx, func() raft.Future { return begin() })
}

func (m *membership) find(id string) *raft.Server {
	for i := range m.servers {
		if nodeIDOf(m.servers[i].ID) == id {
			return &m.servers[i]
		}
	}
	return nil
}

func (m *membership) add(ctx context.Context, ch changeCall) error {
	if err := cmp.Or(CheckNodeID(ch.NodeID), CheckAddress(ch.Address)); err != nil {
		return membershipError("%v", err)
	}
	server, err := m.newcomer(ctx, ch)
	if err != nil {
		return err
	}
	for _, s := range m.servers {
		if s.Address == server.Address && nodeIDOf(s.ID) != ch.NodeID {
			return membershipError("%s is the address of node %s", ch.Address, nodeIDOf(s.ID))
		}
	}
	switch old := m.find(ch.NodeID); {
	case old == nil:
	case old.ID == server.ID && ch.Replace:
		return membershipError("node %s still answers with the data directory that it is a member with; there is nothing to replace", ch.NodeID)
	case old.ID == server.ID && old.Address == server.Address:
		return nil
	case old.ID == server.ID: // it has moved
	case !ch.Replace:
		return membershipError("node %s is a member with another data directory; if that one is lost, add the node with --replace", ch.NodeID)
	case m.answers(ctx, old):
		return membershipError("node %s still answers with its old data directory, at %s", ch.NodeID, old.Address)
	default:
		if err := m.takeOut(ctx, old); err != nil {
			return err
		}
	}
	err = m.commit(ctx, func() raft.IndexFuture { return m.c.raft.AddNonvoter(server.ID, server.Address, 0, changeTimeout) })
	if err == nil {
		m.n.log.Info("node_added", "node", ch.NodeID, "address", ch.Address, "replace", ch.Replace)
	}
	return err
}

// newcomer asks a node who it is, and returns the raft server that it is to be.
func (m *membership) newcomer(ctx context.Context, ch changeCall) (raft.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := m.probe(ctx, raft.ServerAddress(ch.Address))
	own := m.n.adapter.view().Cluster().ClusterID
	switch {
	case err != nil:
		return raft.Server{}, notReady("node %s does not answer at %s: %s", ch.NodeID, ch.Address, silence(err))
	case r.Self.ID != ch.NodeID:
		return raft.Server{}, membershipError("the node at %s is %s, not %s", ch.Address, r.Self.ID, ch.NodeID)
	case r.Self.Address != ch.Address:
		return raft.Server{}, membershipError("node %s says that its raft address is %s, not %s", ch.NodeID, r.Self.Address, ch.Address)
	}
	server := raft.Server{
		Suffrage: raft.Nonvoter, ID: serverID(r.Self.ID, r.Self.Incarnation), Address: raft.ServerAddress(ch.Address),
	}
	if known := m.find(ch.NodeID); r.Initialised && (known == nil || known.ID != server.ID) {
		whose := "another cluster"
		if r.ClusterID == own {
			whose = "a member that was removed"
		}
		return raft.Server{}, membershipError("node %s has the data of %s; give it an empty data directory", ch.NodeID, whose)
	}
	return server, nil
}

// silence says why nobody answered a probe. That an answer which is none of tesd's is not
// well-formed helps nobody.
func silence(err error) string {
	_, broken := errors.AsType[net.Error](err)
	if broken || errors.Is(err, errNotSent) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err.Error()
	}
	return "what is there does not speak the protocol of tesd's raft port"
}

func (m *membership) probe(ctx context.Context, address raft.ServerAddress) (probeReply, error) {
	if address == m.n.port.address {
		return m.n.founding.probed(probeCall{}), nil
	}
	return call[probeReply](ctx, m.n.calls, string(address), methodProbe, probeCall{})
}

// answers reports whether a server answers in the life that the configuration knows.
func (m *membership) answers(ctx context.Context, s *raft.Server) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := m.probe(ctx, s.Address)
	return err == nil && serverID(r.Self.ID, r.Self.Incarnation) == s.ID
}

func (m *membership) remove(ctx context.Context, id string) error {
	s := m.find(id)
	if s == nil {
		return fmt.Errorf("%w: %q", ErrNoNode, id)
	}
	if s.Suffrage == raft.Voter {
		if err := m.dispensable(ctx, s); err != nil {
			return err
		}
	}
	if s.ID == m.c.index.id {
		if err := m.transfer(ctx, ""); err != nil && !errors.Is(err, ErrUnknownOutcome) {
			return err
		}
		return errNotLeader // the next leader does it, whoever that is
	}
	return m.takeOut(ctx, s)
}

// dispensable refuses to remove a voter without whom the cluster could not go on.
func (m *membership) dispensable(ctx context.Context, voter *raft.Server) error {
	voters, answering := 0, 0
	for _, member := range m.n.Members(ctx) {
		if member.Voter && member.ID != nodeIDOf(voter.ID) {
			if voters++; member.Status != nil {
				answering++
			}
		}
	}
	switch {
	case voters == 0:
		return membershipError("node %s is the only voter", nodeIDOf(voter.ID))
	case answering <= voters/2:
		return membershipError("without node %s the cluster would have no majority: of the other %d voters %d answer", nodeIDOf(voter.ID), voters, answering)
	}
	return nil
}

func (m *membership) takeOut(ctx context.Context, s *raft.Server) error {
	err := m.commit(ctx, func() raft.IndexFuture { return m.c.raft.RemoveServer(s.ID, 0, changeTimeout) })
	if err == nil {
		m.n.log.Info("node_removed", "node", nodeIDOf(s.ID), "address", s.Address)
	}
	return err
}
