package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tesd/tesd/client"
)

func bump(t *testing.T, c *client.Client) (*client.BumpResponse, error) {
	return c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch})
}

// TestOutcome holds a write of several attempts to the outcome, class and code that it ends with.
func TestOutcome(t *testing.T) {
	tests := []struct {
		name     string
		nodes    []node
		want     client.Outcome // empty for success
		class    error
		code     client.Code
		attempts int // 0 for as many as there was time for
	}{
		{"answered", []node{done}, "", nil, "", 1},
		{"no leader, then answered", []node{noLeader, dead, done}, "", nil, "", 3},
		{"out of time, then answered", []node{outOfTime, done}, "", nil, "", 2},
		{"broken, then answered", []node{broken, done}, "", nil, "", 2},
		{"throttled, then answered", []node{throttled, done}, "", nil, "", 2},
		{"conflict", []node{conflict}, client.OutcomeRejected, client.ErrConflict, client.CodeVersionConflict, 1},
		{"forbidden", []node{forbidden}, client.OutcomeRejected, client.ErrNotAllowed, client.CodeForbidden, 1},
		{"never a leader", []node{noLeader}, client.OutcomeNotApplied, client.ErrUnavailable, client.CodeNoLeader, 0},
		{"never a connection", []node{dead}, client.OutcomeNotApplied, client.ErrUnavailable, "", 0},
		{"always out of time", []node{outOfTime}, client.OutcomeUnknown, client.ErrUnknownOutcome, client.CodeOutcomeUnknown, 0},
		{"broken, never a connection again", []node{broken, dead}, client.OutcomeUnknown, client.ErrUnknownOutcome, "", 0},
		{"out of time, never a leader again", []node{outOfTime, noLeader}, client.OutcomeUnknown, client.ErrUnknownOutcome, client.CodeNoLeader, 0},
		{"hanging", []node{hang}, client.OutcomeUnknown, client.ErrUnknownOutcome, "", 0},
		{"broken, settled by a conflict", []node{broken, conflict}, client.OutcomeRejected, client.ErrConflict, client.CodeVersionConflict, 2},
		{"broken, settled by the key", []node{broken, keyReused}, client.OutcomeRejected, client.ErrInvalid, client.CodeIdempotencyKeyReused, 2},
		{"broken, not settled before the log", []node{broken, forbidden}, client.OutcomeUnknown, client.ErrUnknownOutcome, client.CodeForbidden, 2},
		{"broken, not settled by a strange route", []node{broken, noSuchRoute}, client.OutcomeUnknown, client.ErrUnknownOutcome, client.CodeNotFound, 2},
		{"broken, not settled by another's conflict", []node{broken, answer(409, "?")}, client.OutcomeUnknown, client.ErrUnknownOutcome, "", 2},
		{"a defect", []node{refuse(500, client.CodeBumpFailed, client.OutcomeNotApplied)}, client.OutcomeNotApplied, nil, client.CodeBumpFailed, 1},
		{"a defect half way", []node{refuse(500, client.CodeInternal, client.OutcomeUnknown)}, client.OutcomeUnknown, client.ErrUnknownOutcome, client.CodeInternal, 1},
		{"a proxy's error", []node{answer(500, "oops")}, client.OutcomeUnknown, client.ErrUnknownOutcome, "", 1},
		{"a proxy's page", []node{answer(200, "<html>")}, client.OutcomeUnknown, client.ErrUnknownOutcome, "", 1},
		{"a rejection with 503", []node{refuse(503, "ODD", client.OutcomeRejected)}, client.OutcomeRejected, client.ErrUnavailable, "ODD", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := play(t, 3, test.nodes...)
				_, err := bump(t, c)
				if took := time.Since(s.start); took > client.DefaultTimeout {
					t.Errorf("took %v, longer than %v", took, client.DefaultTimeout)
				}
				for _, a := range s.attempts {
					if a.Key == "" || a.Key != s.attempts[0].Key {
						t.Errorf("attempts have keys %q and %q", s.attempts[0].Key, a.Key)
					}
				}
				if test.attempts != 0 && len(s.attempts) != test.attempts {
					t.Errorf("got %d attempts, want %d", len(s.attempts), test.attempts)
				}
				if test.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				got, ok := errors.AsType[*client.Error](err)
				if !ok {
					t.Fatalf("got %v, want a *client.Error", err)
				}
				if got.Outcome != test.want || got.Code != test.code {
					t.Errorf("got %q, %q, want %q, %q", got.Outcome, got.Code, test.want, test.code)
				}
				if got.IdempotencyKey != s.attempts[0].Key {
					t.Errorf("error has key %q, attempts had %q", got.IdempotencyKey, s.attempts[0].Key)
				}
				checkClass(t, err, test.class)
				if ended := errors.Is(err, context.DeadlineExceeded); ended != (test.attempts == 0) {
					t.Errorf("error is of a deadline: %t", ended)
				}
			})
		})
	}
}

// checkClass checks that err is of one class and of no other.
func checkClass(t *testing.T, err, want error) {
	t.Helper()
	for _, class := range []error{
		client.ErrInvalid, client.ErrNotAllowed, client.ErrNotFound, client.ErrConflict,
		client.ErrUnavailable, client.ErrUnknownOutcome,
	} {
		if is := errors.Is(err, class); is != (class == want) {
			t.Errorf("error %q is %q: %t", err, class, is)
		}
	}
}

func TestErrorClasses(t *testing.T) {
	classes := map[error][]int{
		client.ErrInvalid:     {400, 405, 413, 415, 422},
		client.ErrNotAllowed:  {401, 403},
		client.ErrNotFound:    {404, 410},
		client.ErrConflict:    {409, 412},
		client.ErrUnavailable: {429, 502, 503, 504},
	}
	for class, statuses := range classes {
		for _, status := range statuses {
			synctest.Test(t, func(t *testing.T) {
				c, _ := play(t, 1, refuse(status, "SOME", client.OutcomeRejected))
				_, err := bump(t, c)
				checkClass(t, err, class)
			})
		}
	}
}

func TestErrorTellsAll(t *testing.T) {
	c, _ := play(t, 1, conflict)
	_, err := c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch}, client.IdempotencyKey("mine"))
	got, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *client.Error", err)
	}
	want := &client.Error{
		Status: 409, Code: client.CodeVersionConflict, Message: "why", Outcome: client.OutcomeRejected,
		Context: client.ErrorContext{RequestID: "r1"}, Details: []client.Detail{{Path: "p", Message: "m"}},
		Endpoint: "http://n1", RequestID: "r1", IdempotencyKey: "mine",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(client.Error{})); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if got, want := err.Error(), "tesd at http://n1: VERSION_CONFLICT: why"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c, _ = play(t, 1, answer(500, " oops\n"))
	_, err = c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch}, client.IdempotencyKey("mine"))
	if got, want := err.Error(), `tesd at http://n1: status 500: oops (outcome unknown; idempotency key "mine")`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestErrorOfAnEndedCall holds what a call that ran out of time, or was cancelled, tells of its end and
// of its last attempt.
func TestErrorOfAnEndedCall(t *testing.T) {
	patient := answer(503, `{"error":{"code":"NO_LEADER","message":"none","outcome":"not_applied"}}`, "Retry-After: 3")
	tests := []struct {
		name     string
		nodes    []node
		timeout  time.Duration
		after    time.Duration // when the caller cancels, 0 for never
		want     string
		ended    error
		beneath  error // of the last attempt, nil for an answer
		attempts int
	}{
		{
			"too little time for the wait", []node{patient}, 2 * time.Second, 0,
			"tesd at http://n2: NO_LEADER: none; gave up: context deadline exceeded", context.DeadlineExceeded, nil, 2,
		},
		{
			"cancelled in the wait", []node{answer(429, "slow", "Retry-After: 3")}, 4 * time.Second, time.Second,
			"tesd at http://n1: status 429: slow; gave up: context canceled", context.Canceled, nil, 1,
		},
		{
			"cancelled in the wait after no connection", []node{patient, dead}, 4 * time.Second, time.Second,
			"tesd at http://n2: dial tcp: connection refused; gave up: context canceled", context.Canceled, syscall.ECONNREFUSED, 2,
		},
		{
			"of a write that may have been applied", []node{outOfTime, throttled, throttled}, 4 * time.Second, 0,
			`tesd at http://n1: TOO_MANY_REQUESTS; gave up: context deadline exceeded (outcome unknown; idempotency key "k")`,
			context.DeadlineExceeded, nil, 3,
		},
		{
			"cancelled in an attempt", []node{dead, hang}, 4 * time.Second, time.Second,
			`tesd at http://n2: no answer after 1s; gave up: context canceled (outcome unknown; idempotency key "k")`,
			context.Canceled, context.Canceled, 2,
		},
		{
			"the time is up in an attempt", []node{dead, hang}, 800 * time.Millisecond, 0,
			`tesd at http://n2: no answer after 800ms; gave up: context deadline exceeded (outcome unknown; idempotency key "k")`,
			context.DeadlineExceeded, context.DeadlineExceeded, 2,
		},
		{
			"cancelled before", []node{done}, time.Second, -1,
			"tesd: context canceled", context.Canceled, nil, 0,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := play(t, 2, test.nodes...)
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				if test.after < 0 {
					cancel()
				} else if test.after > 0 {
					defer time.AfterFunc(test.after, cancel).Stop()
				}
				_, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch}, client.IdempotencyKey("k"))
				got, ok := errors.AsType[*client.Error](err)
				if !ok || got.Error() != test.want {
					t.Errorf("got  %v\nwant %s", err, test.want)
				}
				if !errors.Is(err, test.ended) {
					t.Errorf("%v cannot be found in it", test.ended)
				}
				if test.beneath != nil && !errors.Is(err, test.beneath) {
					t.Errorf("%v cannot be found in it", test.beneath)
				}
				if len(s.attempts) != test.attempts {
					t.Errorf("got %d attempts, want %d", len(s.attempts), test.attempts)
				}
			})
		})
	}
}

func TestReadsLeaveNothingUnknown(t *testing.T) {
	for i, n := range []node{broken, outOfTime, hang, answer(502, "")} {
		synctest.Test(t, func(t *testing.T) {
			c, s := play(t, 2, n)
			_, err := c.Entity(t.Context(), "a")
			checkClass(t, err, client.ErrUnavailable)
			_, err = c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch, DryRun: true})
			checkClass(t, err, client.ErrUnavailable)
			for _, a := range s.attempts {
				if a.Key != "" {
					t.Errorf("%d: a read has key %q", i, a.Key)
				}
			}
		})
	}
}

// cancellingJar ends a call after its request was made and before that gets a connection.
type cancellingJar struct{ cancel func() }

func (j cancellingJar) Cookies(*url.URL) []*http.Cookie { j.cancel(); return nil }

func (cancellingJar) SetCookies(*url.URL, []*http.Cookie) {}

// TestEndedBeforeAConnection proves that a write was not applied that ended before it had a connection to
// travel on.
func TestEndedBeforeAConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := client.New([]string{"http://127.0.0.1:1"}, client.WithHTTPClient(&http.Client{Jar: cancellingJar{cancel}}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Bump(ctx, client.BumpRequest{Scope: client.Patch, EntityID: "a"})
	checkClass(t, err, client.ErrUnavailable)
}

// TestPace holds the attempts to the nodes and the times that the package documentation promises.
func TestPace(t *testing.T) {
	tests := []struct {
		name  string
		nodes []node
		want  []attempt
	}{
		{"at once from node to node", []node{dead, noLeader, done}, []attempt{{Host: "n1"}, {Host: "n2"}, {Host: "n3"}}},
		{
			"a node that hangs leaves half of the time", []node{hang, hang, done},
			[]attempt{{Host: "n1"}, {Host: "n2", At: 7500 * time.Millisecond}, {Host: "n3", At: 11250 * time.Millisecond}},
		},
		{"at 429 as long as asked", []node{throttled, done}, []attempt{{Host: "n1"}, {Host: "n2", At: 3 * time.Second}}},
		{
			"at 503 as long as asked, after the round", []node{answer(503, "", "Retry-After: 2"), dead, dead, done},
			[]attempt{{Host: "n1"}, {Host: "n2"}, {Host: "n3"}, {Host: "n1", At: 2 * time.Second}},
		},
		{"not beyond the end", []node{answer(429, "", "Retry-After: 16"), done}, []attempt{{Host: "n1"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := play(t, 3, test.nodes...)
				bump(t, c)
				for i := range s.attempts {
					s.attempts[i].Key = ""
				}
				if diff := cmp.Diff(test.want, s.attempts); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := play(t, 1, dead)
		bump(t, c)
		for i := 1; i < len(s.attempts); i++ {
			wait, limit := s.attempts[i].At-s.attempts[i-1].At, min(10*time.Millisecond<<min(i-1, 10), time.Second)
			if wait >= limit {
				t.Errorf("wait %d is %v, want less than %v", i, wait, limit)
			}
		}
		if took := time.Since(s.start); took < client.DefaultTimeout-time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

func TestContextEndsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := play(t, 3, hang)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		_, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch})
		if took := time.Since(s.start); took != 3*time.Second || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v after %v", err, took)
		}
		checkClass(t, err, client.ErrUnknownOutcome)

		_, err = c.Bump(ctx, client.BumpRequest{Scope: client.Patch})
		if len(s.attempts) != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v after %d attempts", err, len(s.attempts))
		}
		checkClass(t, err, client.ErrUnavailable)
	})
}

func TestNodeLocalReadsAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := play(t, 3, dead)
		_, err := c.Health(t.Context())
		checkClass(t, err, client.ErrUnavailable)
		if len(s.attempts) != 3 || time.Since(s.start) != 0 {
			t.Errorf("got %d attempts in %v", len(s.attempts), time.Since(s.start))
		}
	})
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// TestFailover uses real connections: two endpoints are dead, the third answers.
func TestFailover(t *testing.T) {
	keys := make(chan string, 10)
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("Idempotency-Key")
		w.Header().Set("Idempotency-Replayed", "true")
		io.WriteString(w, `{"revision":5}`)
	}))
	defer live.Close()
	gone := httptest.NewServer(nil)
	gone.Close()

	c := newClient(t, []string{gone.URL, gone.URL, live.URL})
	var seen []string
	for range 2 {
		resp, err := bump(t, c)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Revision != 5 || !resp.Replayed {
			t.Errorf("got revision %d, replayed %t", resp.Revision, resp.Replayed)
		}
		seen = append(seen, <-keys)
	}
	if !uuid.MatchString(seen[0]) || !uuid.MatchString(seen[1]) || seen[0] == seen[1] {
		t.Errorf("two writes have keys %q", seen)
	}
}

func TestNextCallBeginsWhereTheLastWasAnswered(t *testing.T) {
	c, s := play(t, 3, dead, done, done, conflict, done)
	for range 4 {
		bump(t, c)
	}
	var hosts []string
	for _, a := range s.attempts {
		hosts = append(hosts, a.Host)
	}
	if diff := cmp.Diff([]string{"n1", "n2", "n2", "n2", "n2"}, hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

// TestRealConnections tells apart, on real connections, what was never sent from what may have been.
func TestRealConnections(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler) // cuts the connection
	}))
	defer plain.Close()
	short := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"revision":5}`)
	}))
	defer short.Close()
	tests := []struct {
		name, endpoint string
		want           error
	}{
		{"cut before the answer", plain.URL, client.ErrUnknownOutcome},
		{"cut within the answer", short.URL, client.ErrUnknownOutcome},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), client.ErrUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, []string{test.endpoint}, client.WithTimeout(200*time.Millisecond))
			_, err := bump(t, c)
			checkClass(t, err, test.want)
		})
	}
}
