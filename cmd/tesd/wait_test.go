package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/client"
)

// TestPollPauses: reads come at growing distances, also while the cluster cannot answer,
// and end with the time.
func TestPollPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		var at []time.Duration
		read := func(context.Context) (*client.EntityResponse, error) {
			at = append(at, time.Since(begin))
			if len(at) > 2 {
				return nil, client.ErrUnavailable
			}
			return &client.EntityResponse{Revision: uint64(len(at))}, nil
		}
		last, err := pollEntity(ctx, read, func(client.Entity) (bool, error) { return false, nil })
		if last == nil || last.Revision != 2 || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("it ended with %v and %v, not the second answer and both errors", last, err)
		}
		const ms = time.Millisecond
		if diff := cmp.Diff([]time.Duration{0, 250 * ms, 750 * ms, 1750 * ms, 3750 * ms, 5750 * ms, 7750 * ms}, at); diff != "" {
			t.Errorf("it was read at other times (-want +got):\n%s", diff)
		}
	})
}

// TestPollEnds: at the first answer that is as it should be, and at an error that stays.
func TestPollEnds(t *testing.T) {
	gone := errors.New("gone")
	for _, c := range []struct {
		name  string
		reads []error // nil for an answer
		good  int     // the answer that is as it should be
		want  error
	}{
		{"at once", []error{nil}, 1, nil},
		{"after a change", []error{nil, nil, nil}, 3, nil},
		{"after an outage", []error{client.ErrUnavailable, nil, client.ErrUnavailable, nil}, 4, nil},
		{"with an error that stays", []error{nil, gone}, 0, gone},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			read := func(context.Context) (*client.EntityResponse, error) {
				err := c.reads[n]
				if n++; err != nil {
					return nil, err
				}
				return &client.EntityResponse{}, nil
			}
			resp, err := pollEntity(t.Context(), read, func(client.Entity) (bool, error) { return n == c.good, nil })
			if !errors.Is(err, c.want) || (resp == nil) != (c.want != nil) || n != len(c.reads) {
				t.Errorf("%s: it ended with %v and %v after %d reads", c.name, resp, err, n)
			}
		})
	}
}

// TestPollThatNeverSucceeds ends with the reason, not with the time.
func TestPollThatNeverSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		read := func(context.Context) (*client.EntityResponse, error) { return nil, client.ErrUnavailable }
		if resp, err := pollEntity(ctx, read, nil); resp != nil || err != client.ErrUnavailable {
			t.Errorf("it ended with %v and %v", resp, err)
		}
	})
}

// TestLateErrorTellsAnOutage that hides what became of the version.
func TestLateErrorTellsAnOutage(t *testing.T) {
	refused := &client.Error{Status: 503, Code: client.CodeNoLeader, Message: "no leader is known"}
	late := late("a", "1.3.0", ">=1.4", time.Minute, errors.Join(context.DeadlineExceeded, refused))
	const want = "entity a has version 1.3.0, not >=1.4, after 1m0s; the last read failed: no leader is known (NO_LEADER)"
	if late.Error() != want {
		t.Errorf("it says %q, want %q", late, want)
	}
}
