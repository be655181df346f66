package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

const (
	// waitDefault is how long a wait takes at most unless --timeout says otherwise: a release
	// job is worth a few minutes, a call to the cluster is not.
	waitDefault = 5 * time.Minute

	// Between two reads of a wait is a pause, which grows from the first to the longest.
	firstPause   = 250 * time.Millisecond
	longestPause = 2 * time.Second
)

// waitEntity returns the entity once its version meets a constraint, or a [*lateError] if
// it does not within limit.
func (t *tool) waitEntity(ctx context.Context, id, constraint string, limit time.Duration) (*client.EntityResponse, error) {
	wanted, err := semver.NewConstraint(constraint)
	if err != nil {
		return nil, usagef("--wait %q is not a constraint such as '>=1.4.0' or '^2'", constraint)
	}
	t.timeout = min(limit, client.DefaultTimeout) // of a single call
	c, err := t.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	told := false
	resp, err := pollEntity(ctx,
		func(ctx context.Context) (*client.EntityResponse, error) { return c.Entity(ctx, id) },
		func(e client.Entity) (bool, error) {
			v, err := fsm.ParseVersion(e.CurrentVersion)
			if err != nil {
				return false, fmt.Errorf("entity %s: %w", id, err)
			}
			met := wanted.Check(semver.New(v.Major, v.Minor, v.Patch, v.Pre, v.Build))
			if !met && !told {
				told = true
				t.app.tell("Waiting up to %v: %s has version %s, not %s.\n", limit, id, printable(e.CurrentVersion), constraint)
			}
			return met, nil
		})
	if resp != nil && errors.Is(err, context.DeadlineExceeded) {
		err = late(id, resp.Entity.CurrentVersion, constraint, limit, err)
	}
	return resp, err
}

// pollEntity reads an entity, again and again with pauses, until done says that it is as it
// should be. That the cluster cannot answer for a while does not end it. When ctx ends first,
// it returns the last answer if there was one, with an error that wraps that of ctx and
// that of a read that failed since.
func pollEntity(ctx context.Context, read func(context.Context) (*client.EntityResponse, error), done func(client.Entity) (bool, error)) (*client.EntityResponse, error) {
	var last *client.EntityResponse
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		resp, err := read(ctx)
		switch {
		case err == nil:
			if ok, err := done(resp.Entity); ok || err != nil {
				return resp, err
			}
			last = resp
		case !errors.Is(err, client.ErrUnavailable):
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if last == nil {
				return nil, err // of a read: none succeeded
			}
			return last, errors.Join(ctx.Err(), err)
		}
	}
}

// lateError says that what was waited for did not come in time, and what came instead.
type lateError struct{ message string }

func (e *lateError) Error() string { return e.message }

// late is the error of an entity that did not come to the version that was waited for. It
// tells the version that the entity has instead and, if it could not be read at the last, why.
func late(id, version, constraint string, limit time.Duration, cause error) error {
	text := fmt.Sprintf("entity %s has version %s, not %s, after %v", id, version, constraint, limit)
	if failed, ok := errors.AsType[*client.Error](cause); ok {
		text += "; the last read failed: " + reasonOf(failed)
	}
	return &lateError{text}
}
