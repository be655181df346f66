package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// failover kills the leader, and measures how long it takes until a node that is left carries out a bump. They
// are asked all the time.
func (s *site) failover(ctx context.Context) (time.Duration, error) {
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	done := make(chan time.Time, len(s.nodes))
	killed := time.Now()
	s.leader.process.stop()
	for _, n := range s.nodes[1:] {
		conn, err := s.connect(ctx, n)
		if err != nil {
			return 0, err
		}
		context.AfterFunc(ctx, conn.close)
		group.Go(func() {
			for ctx.Err() == nil {
				status, _, err := conn.do("POST", "/version/bump", bumping(entityID))
				if err == nil && status == http.StatusOK {
					done <- time.Now()
					return
				}
				pause(ctx, 5*time.Millisecond)
			}
		})
	}
	select {
	case at := <-done:
		cancel()
		return at.Sub(killed), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for a new leader: %w", ctx.Err())
	}
}
