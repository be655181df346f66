package httpapi

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestSharedDeadlines has calls that begin soon after each other share a deadline, and each have
// nearly all of its time.
func TestSharedDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadlines
		first := d.next()
		<-time.After(sharing)
		if d.next() != first {
			t.Error("a call soon after another has a deadline of its own")
		}
		<-time.After(1)
		second := d.next()
		if second == first {
			t.Error("a call long after another shares its deadline")
		}
		began := time.Now()
		if <-first.Done(); time.Since(began) != requestTimeout-sharing-1 {
			t.Errorf("the first ended after another %v", time.Since(began))
		}
		if <-second.Done(); time.Since(began) != requestTimeout {
			t.Errorf("the second ended after %v", time.Since(began))
		}
	})
}
