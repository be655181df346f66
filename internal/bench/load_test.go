package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// TestSameLeader: nodes change places so that the watched one stands first; it is the node that counts.
func TestSameLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &node{id: "n1"}, &node{id: "n2"}
		leads, failure := 0, error(nil)
		c := &cluster{nodes: []*node{two, one}, leader: two, leads: func(context.Context, []*node) (int, error) { return leads, failure }}
		if err := c.sameLeader(t.Context()); err != nil {
			t.Errorf("the same node leads: %v", err)
		}
		leads = 1
		if err := c.sameLeader(t.Context()); !errors.Is(err, errMoved) || !strings.Contains(err.Error(), "from n2 to n1") {
			t.Errorf("another node leads: %v", err)
		}
		failure = errors.New("no node leads")
		if err := c.sameLeader(t.Context()); !errors.Is(err, errMoved) || !errors.Is(err, failure) {
			t.Errorf("no node leads: %v", err)
		}
	})
}

// TestSteady: a run in which the leader changed is repeated, and said to be; other errors are not, and not without end.
func TestSteady(t *testing.T) {
	other := errors.New("another error")
	for _, c := range []struct {
		name  string
		errs  []error
		calls int
		want  error
	}{
		{"at once", []error{nil}, 1, nil},
		{"once more", []error{errMoved, nil}, 2, nil},
		{"never", []error{errMoved, errMoved, errMoved, nil}, 3, errMoved},
		{"another error", []error{other, nil}, 1, other},
		{"another error then", []error{errMoved, other, nil}, 2, other},
	} {
		var said strings.Builder
		calls := 0
		figures, err := steady("it", &said, func(context.Context) ([]figure, error) {
			calls++
			return []figure{{Value: float64(calls)}}, c.errs[calls-1]
		})(t.Context())
		if calls != c.calls || !errors.Is(err, c.want) || err == nil && figures[0].Value != float64(calls) {
			t.Errorf("%s: %d runs, %v, %v", c.name, calls, figures, err)
		}
		moved := 0
		for _, one := range c.errs[:calls] {
			if errors.Is(one, errMoved) {
				moved++
			}
		}
		if n := valueOf(figures, "runs that did not count"); err == nil && n != float64(moved) {
			t.Errorf("%s: %v runs are said not to count, want %d", c.name, n, moved)
		}
		if n := strings.Count(said.String(), "it: the run does not count: the leader changed\n"); n != moved {
			t.Errorf("%s: it said %d times that a run does not count: %s", c.name, n, &said)
		}
	}
}
