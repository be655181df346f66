package cluster

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// The check for divergence. Nodes that applied the same log have the same state; if one has
// not, its memory, its disk or its build is at fault, and what it answers is wrong.
//
// Every compareEvery each member asks the voters what their state was at the index that it has
// reached itself. Each judges only itself, by what it hears at that one index:
//
//  1. More than half of the voters have one other state: this node is wrong and stops, also as
//     the leader.
//  2. More than half have this node's: it is right. Whoever differs finds out by itself.
//  3. Neither, and the leader has another state: after tieChecks checks in a row a node that
//     does not lead stops. Nobody knows who is right, but what was acknowledged is the leader's.
//
// So no node stops because a single peer says so, but for its leader, and the leader never does.
// An answer counts only if it is of the voter that was asked, about that index, of this cluster
// and of a hash made in the same way. A node whose state was replaced by a snapshot meanwhile
// draws no conclusion.
const (
	compareEvery   = 2 * time.Second
	compareTimeout = time.Second // how long a voter may take to answer, and to reach the index
	// A voter that comes back can decide it meanwhile: raft tries one that was away again after
	// ten seconds at the latest.
	tieChecks = 6
)

// compared is what came of the checks so far.
type compared struct {
	checks, mismatches, index atomic.Uint64 // see Comparison
	diverged                  atomic.Bool
}

func (c *compared) comparison() Comparison {
	return Comparison{Checks: c.checks.Load(), Mismatches: c.mismatches.Load(), Index: c.index.Load()}
}

// compareStates checks for divergence while ctx lasts, and stops this node if it is the one
// that differs.
func (n *Node) compareStates(ctx context.Context, c *consensus) {
	ties := 0
	for pause(ctx, compareEvery); ctx.Err() == nil; pause(ctx, compareEvery) {
		check, ok := n.check(ctx, c)
		if !ok {
			continue
		}
		n.tell(check)
		switch check.verdict() {
		case outvoted:
			n.diverge(check)
			return
		case unlikeLeader:
			if ties++; ties == tieChecks {
				n.diverge(check)
				return
			}
		default:
			ties = 0
		}
	}
}

// check asks the other voters for their states. It returns false if none answered, or there
// is nothing to compare.
func (n *Node) check(ctx context.Context, c *consensus) (check, bool) {
	own, ok := n.adapter.marks.newest()
	k := check{own: own}
	var asked []raft.Server
	member := false
	for _, s := range c.raft.GetConfiguration().Configuration().Servers {
		member = member || s.ID == c.index.id
		if s.Suffrage != raft.Voter {
			continue
		}
		if k.voters++; s.ID == c.index.id {
			k.votes = true
		} else {
			asked = append(asked, s)
		}
	}
	if !ok || !member || !n.adapter.view().Founded() {
		return check{}, false
	}
	replies := make([]*stateReply, len(asked))
	var group sync.WaitGroup
	for i, s := range asked {
		group.Go(func() { replies[i] = n.stateOf(ctx, s, own.index) })
	}
	group.Wait()
	for _, r := range replies {
		if r != nil {
			k.answers = append(k.answers, *r)
		}
	}
	k.leads, k.term = c.raft.State() == raft.Leader, c.raft.CurrentTerm()
	hash, ok := n.adapter.marks.at(own.index)
	return k, ok && hash == own.hash && len(k.answers) > 0 // else the state was replaced meanwhile
}

// stateOf asks a voter for its state at an index; nil if it gives no answer that counts.
func (n *Node) stateOf(ctx context.Context, s raft.Server, index uint64) *stateReply {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	r, err := call[stateReply](ctx, n.calls, string(s.Address), methodState, stateCall{index})
	if err != nil || !counts(r, s.ID, index, n.adapter.view().Cluster().ClusterID) {
		return nil
	}
	return &r
}

// counts reports whether an answer is that of a voter about its state at an index, and can be
// compared.
func counts(r stateReply, voter raft.ServerID, index uint64, clusterID string) bool {
	return r.Known && r.ID == voter && r.Index == index && r.ClusterID == clusterID && r.Format == fsm.StateHashFormat
}

// stateAt answers what this node's state was at an index, which it may have yet to reach.
func (n *Node) stateAt(c *consensus, index uint64) stateReply {
	ctx, cancel := context.WithTimeout(n.life, compareTimeout)
	defer cancel()
	view, err := n.adapter.wait(ctx, func(v fsm.View) bool { return v.Index() >= index })
	if err != nil {
		view = n.adapter.view()
	}
	hash, known := n.adapter.marks.at(index)
	term := c.raft.CurrentTerm()
	return stateReply{
		ID: c.index.id, ClusterID: view.Cluster().ClusterID, Format: fsm.StateHashFormat,
		Index: index, Hash: hash, Known: known, Term: term, Leads: c.raft.State() == raft.Leader,
	}
}

// check is what this node has heard of the states at one index.
type check struct {
	own    mark
	voters int    // in the configuration
	votes  bool   // this node is one of them
	leads  bool   // this node does
	term   uint64 // of this node, after the answers

	answers []stateReply // of the other voters
}

// verdict is what follows for this node.
type verdict uint8

const (
	undecided    verdict = iota
	confirmed            // rule 2
	outvoted             // rule 1
	unlikeLeader         // rule 3
)

func (k *check) verdict() verdict {
	count := make(map[fsm.Hash]int)
	if k.votes {
		count[k.own.hash]++
	}
	for _, a := range k.answers {
		count[a.Hash]++
	}
	for hash, n := range count { // any order: at most one has more than half
		if n > k.voters/2 {
			if hash == k.own.hash {
				return confirmed
			}
			return outvoted
		}
	}
	for _, a := range k.differing() {
		if a.Leads && a.Term >= k.term && !k.leads {
			return unlikeLeader
		}
	}
	return undecided
}

// differing returns the answers of those who have another state.
func (k *check) differing() []stateReply {
	return slices.DeleteFunc(slices.Clone(k.answers), func(a stateReply) bool { return a.Hash == k.own.hash })
}

// tell counts a check and logs who differs.
func (n *Node) tell(k check) {
	n.compared.checks.Add(1)
	if k.verdict() == confirmed {
		n.compared.index.Store(k.own.index)
	}
	for _, a := range k.differing() {
		n.compared.mismatches.Add(1)
		n.log.Error("state_differs", "node", nodeIDOf(a.ID), "index", k.own.index,
			"stateHash", hex.EncodeToString(k.own.hash[:]), "nodeStateHash", hex.EncodeToString(a.Hash[:]))
	}
}

// diverge stops this node, which differs from the others, and notes that in its directory.
func (n *Node) diverge(k check) {
	n.compared.diverged.Store(true)
	reason := k.reason(n.compared.index.Load())
	err := fmt.Errorf("%w: %s", ErrDiverged, reason)
	if noted := n.disk.Set([]byte(divergedKey), []byte(reason)); noted != nil {
		err = errors.Join(fmt.Errorf("noting that this node must not start again: %w", noted), err)
	}
	n.fail(err)
}

// reason says in one line who had which state, and what to do.
func (k *check) reason(confirmed uint64) string {
	var others []string
	for _, a := range k.answers {
		role := ""
		if a.Leads {
			role = ", the leader,"
		}
		others = append(others, fmt.Sprintf("%s%s has %x", nodeIDOf(a.ID), role, a.Hash))
	}
	was := "it was not compared before"
	if confirmed > 0 {
		was = fmt.Sprintf("it was last the same at index %d", confirmed)
	}
	return fmt.Sprintf("at index %d of the log it has hash %x, but %s; %s. Keep its data directory to examine it, "+
		"give it an empty one, and take it in again with tesd node add --replace", k.own.index, k.own.hash, strings.Join(others, ", "), was)
}

// divergedKey is where in the stable store it stands that the node diverged, and how.
const divergedKey = "tesd diverged"

// checkDiverged refuses a data directory whose node was found to have another state than the
// others: where that comes from is not known, so that to start again might bring it back.
func checkDiverged(store raft.StableStore) error {
	reason, err := store.Get([]byte(divergedKey))
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("reading whether the node has diverged: %w", err)
	}
	if len(reason) > 0 {
		return fmt.Errorf("%w, as it found before it stopped: %s", ErrDiverged, reason)
	}
	return nil
}
