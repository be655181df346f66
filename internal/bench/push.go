package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/tesd/tesd/client"
)

// push measures single bumps at the leader, with pauses in between, and how long after each answer its
// message comes to a watcher of a follower. Both are sorted.
func (s *site) push(ctx context.Context, trip, duration time.Duration) (took, late []int64, err error) {
	bumper := &worker{conns: make([]*httpConn, len(s.nodes))}
	defer bumper.close()
	if bumper.conns[0], err = s.connect(ctx, s.leader); err != nil {
		return nil, nil, err
	}
	w, err := s.watchFollower(ctx)
	if err != nil {
		return nil, nil, err
	}
	clock := newClock()
	var acked []int64
	for end := time.Now().Add(duration); time.Now().Before(end) && ctx.Err() == nil; {
		sent := clock.now()
		if _, err := bumper.expect(0, "POST", "/version/bump", bumping(entityID)); err != nil {
			return nil, nil, errors.Join(err, closeAll([]*watcher{w}))
		}
		now := clock.now()
		took, acked = append(took, now-sent), append(acked, now)
		// Until the message has come, and then to any moment of the leader's replication with the same chance:
		// that goes in circles of a round trip and the wait for something new, and this is two of them.
		pause(ctx, trip/2+15*time.Millisecond+rand.N(2*(trip+1500*commitTimeout*time.Microsecond)))
	}
	err = awaitAll(ctx, []*watcher{w}, int64(len(acked)), 10*time.Second)
	if err := errors.Join(err, closeAll([]*watcher{w}), ctx.Err()); err != nil {
		return nil, nil, err
	}
	for i, at := range acked {
		late = append(late, w.at[i]-at)
	}
	slices.Sort(took)
	slices.Sort(late)
	return took, late, nil
}

// watchFollower opens a watcher of the second node, from its machine.
func (s *site) watchFollower(ctx context.Context) (*watcher, error) {
	n := s.nodes[1]
	api, err := s.api(n)
	if err != nil {
		return nil, err
	}
	registry, err := api.Registry(ctx, client.RegistryOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the revision: %w", err)
	}
	base := int64(registry.Revision)
	d := websocket.Dialer{Subprotocols: []string{"tes-subproto-v1"}, HandshakeTimeout: 10 * time.Second, NetDialContext: s.lan.Dial}
	ws, _, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(n.url, "http")+"/version/ws", nil)
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", n.id, err)
	}
	return follow(ctx, ws, base, 1024)
}

// pause waits for d or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
