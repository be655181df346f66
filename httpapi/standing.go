package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/tesd/tesd/cluster"
)

// standing is whether a watch can go on at this node. A node that is behind lets its watchers wait;
// but one that is no member any more hears nothing, and one that hears of no leader may be cut off
// while the others go on. Their watchers are better off elsewhere.
type standing struct {
	ahead      bool // the watch wants to begin behind a revision of which no leader has said yet that it exists
	leaderless bool // at the last heartbeat
}

// aheadTimeout bounds how long a leader is asked whether a revision exists.
const aheadTimeout = time.Second

// check returns why a watch ends, at a heartbeat: a [cluster.ErrNotReady], or a gap.
func (s *standing) check(ctx context.Context, c *call, w *watch) error {
	leaderless := false
	for _, check := range c.s.node.Ready() {
		switch {
		case check.OK:
		case check.Name == "member":
			return fmt.Errorf("%w: %s", cluster.ErrNotReady, check.Detail)
		case check.Name == "leader":
			leaderless = true
		}
	}
	if leaderless && s.leaderless {
		return fmt.Errorf("%w: no leader is known to this node", cluster.ErrNotReady)
	}
	if s.leaderless = leaderless; leaderless || !s.ahead {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, aheadTimeout)
	defer cancel()
	view, err := c.s.node.Read(ctx, cluster.ReadOptions{Mode: cluster.Linearizable, Registry: c.registry})
	if err != nil {
		return nil // it is asked again
	}
	s.ahead = false
	r, _ := view.Registry(c.registry)
	return w.checkAhead(r, c.registry)
}
