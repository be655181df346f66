package cluster

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
)

// TestNobodyJoinsARunningRound: what a round found out may be older than a call that
// came while it ran.
func TestNobodyJoinsARunningRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begun, end := uint64(0), make(chan struct{}, 3) // a token ends a round
		r := newRounds(func(context.Context) (uint64, error) {
			begun++
			found := begun
			<-end
			return found, nil
		})
		go r.run(ctx)
		call := func() <-chan uint64 {
			got := make(chan uint64, 1)
			go func() {
				index, err := r.do(ctx)
				if err != nil {
					t.Errorf("a round failed: %v", err)
				}
				got <- index
			}()
			synctest.Wait()
			return got
		}
		first := call()
		second, third := call(), call() // the first round is running
		if begun != 1 {
			t.Fatalf("%d rounds run at once", begun)
		}
		end <- struct{}{}
		if got := <-first; got != 1 {
			t.Errorf("the first caller was given round %d", got)
		}
		synctest.Wait()
		fourth := call()
		end <- struct{}{}
		end <- struct{}{}
		synctest.Wait()
		for i, c := range []struct {
			got  <-chan uint64
			want uint64
		}{{second, 2}, {third, 2}, {fourth, 3}} {
			if got := <-c.got; got != c.want {
				t.Errorf("caller %d was given round %d, want %d, the first that began after its call", i+2, got, c.want)
			}
		}
		cancel()
		synctest.Wait()
	})
}

// TestThoseWhoAreAboutToComeShareARound: callers who can run when a round is about to begin run first, and join it.
func TestThoseWhoAreAboutToComeShareARound(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // with more, those who can run may run anyway
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begun := 0
		r := newRounds(func(context.Context) (uint64, error) {
			begun++
			return 0, nil
		})
		call := func() { _, _ = r.do(ctx) }
		go call() // two for the first round, so that the next waits for company
		go call()
		synctest.Wait()
		go r.run(ctx)
		synctest.Wait()
		begun = 0
		for i := range 20 {
			go func() {
				for range i % yieldTurns { // each is a little later
					runtime.Gosched()
				}
				call()
			}()
		}
		synctest.Wait()
		if begun != 1 {
			t.Errorf("20 callers who came almost at once took %d rounds", begun)
		}
		cancel()
		synctest.Wait()
	})
}
