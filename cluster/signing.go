package cluster

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"
)

// keyID names a signing key without giving it away: the first 16 hex digits of an
// HMAC made with it.
func keyID(key []byte) string {
	return hex.EncodeToString(new(signer).sign(nil, key, []byte("tesd key id v1"))[:8])
}

// signer signs one message after another without preparing the key for each. The zero value is ready; it is
// safe for concurrent use.
type signer struct{ prepared sync.Pool } // of *preparedKey

type preparedKey struct {
	key []byte
	mac hash.Hash
}

// sign appends the HMAC-SHA256 of a message. It is quick while the key is the one of the last time.
func (s *signer) sign(dst, key, message []byte) []byte {
	p, _ := s.prepared.Get().(*preparedKey)
	if p == nil || !bytes.Equal(p.key, key) {
		p = &preparedKey{bytes.Clone(key), hmac.New(sha256.New, key)}
	}
	p.mac.Write(message)
	dst = p.mac.Sum(dst)
	p.mac.Reset()
	s.prepared.Put(p)
	return dst
}

// key returns the key that signs this cluster's receipts: the configured one, or the
// one that the cluster made. It is nil before the cluster has been founded.
func (n *Node) key() []byte {
	if len(n.cfg.SigningKey) > 0 {
		return n.cfg.SigningKey
	}
	return n.adapter.view().Cluster().Key
}

// Sign returns the hex HMAC-SHA256 of a receipt's payload: the same on every node. It
// returns [ErrNotReady] on a node whose key is not the cluster's, or that does not know yet.
func (n *Node) Sign(payload []byte) (string, error) {
	if reason := n.unfit(); reason != "" {
		return "", notReady("%s", reason)
	}
	if err := n.unacquainted(); err != nil {
		return "", err
	}
	var sum [sha256.Size]byte
	return hex.EncodeToString(n.signer.sign(sum[:0], n.key(), payload)), nil
}

// unacquainted returns [ErrNotReady] while this node has read nothing of its cluster's log since
// its start. It may know the leader by then, but not by which key the cluster signs.
func (n *Node) unacquainted() error {
	if n.adapter.view().Founded() {
		return nil
	}
	return notReady("this node has not read the state of the cluster yet")
}

// unfit says why this node must not serve requests: it is no member, or it was started
// with another signing key or default registry than the cluster has, and then it
// replicates and votes all the same, or its restored cluster is not complete. It is empty for a node that is fit.
func (n *Node) unfit() string {
	if n.started() == nil {
		if _, waiting := n.founding.state(); waiting != "" {
			return waiting
		}
		return "the node is starting"
	}
	if n.removed.Load() {
		return "this node was removed from the cluster; stop it, or add it again with an empty data directory"
	}
	if n.compared.diverged.Load() {
		return ErrDiverged.Error() + "; it stops"
	}
	if reason := n.founding.awaited(); reason != "" {
		return reason
	}
	view := n.adapter.view()
	if !view.Founded() {
		return "" // nothing to differ from yet
	}
	cluster := view.Cluster()
	if cluster.RegistryID != n.cfg.RegistryID {
		return fmt.Sprintf("the cluster's default registry is %q, but this node was started with %q", cluster.RegistryID, n.cfg.RegistryID)
	}
	switch key := n.key(); {
	case key == nil:
		return fmt.Sprintf("the cluster signs with key %s, but this node was started without a key", cluster.KeyID)
	case n.configuredKeyID != "" && n.configuredKeyID != cluster.KeyID:
		return fmt.Sprintf("the cluster signs with key %s, but this node was started with key %s", cluster.KeyID, n.configuredKeyID)
	}
	return ""
}
