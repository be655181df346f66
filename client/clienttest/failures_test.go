package clienttest_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/client/clienttest"
)

// little is less time than a server without a leader asks a client to wait, and ample for what it does.
const little = 900 * time.Millisecond

// TestFailNext holds each code to what requests are answered.
func TestFailNext(t *testing.T) {
	const bumping = `{"scope":"minor","entityId":"` + shop + `"}`
	tests := []struct {
		code    client.Code
		status  int
		write   client.Code    // that a bump is answered, if it is another
		outcome client.Outcome // of the bump
		read    client.Code    // that a read is answered, if it is another
	}{
		{code: client.CodeNoLeader, status: 503, outcome: client.OutcomeNotApplied},
		{code: client.CodeNotReady, status: 503, outcome: client.OutcomeNotApplied},
		{code: client.CodeShuttingDown, status: 503, outcome: client.OutcomeNotApplied},
		{code: client.CodeStorageFull, status: 503, outcome: client.OutcomeNotApplied, read: "none"},
		{code: client.CodeTooManyRequests, status: 429, outcome: client.OutcomeNotApplied},
		{code: client.CodeUnauthenticated, status: 401, outcome: client.OutcomeRejected},
		{code: client.CodeForbidden, status: 403, outcome: client.OutcomeRejected},
		{code: client.CodeOutcomeUnknown, status: 504, outcome: client.OutcomeUnknown, read: "none"},
		{code: client.CodeInternal, status: 500, write: client.CodeBumpFailed, outcome: client.OutcomeUnknown},
		{code: client.CodeBumpFailed, status: 500, outcome: client.OutcomeUnknown, read: client.CodeInternal},
	}
	for _, test := range tests {
		t.Run(string(test.code), func(t *testing.T) {
			srv := start(t)
			srv.FailNext(2, test.code)
			status, body := send(t, "POST", srv.URL+"/version/bump", bumping)
			if status != test.status || body.Code != cmp.Or(test.write, test.code) || body.Outcome != test.outcome {
				t.Errorf("the bump is answered %d %+v", status, body)
			}
			status, body = send(t, "GET", srv.URL+"/version/registry", "")
			if want := cmp.Or(test.read, test.code); want == "none" && status != 200 || want != "none" && (status != test.status || body.Code != want) {
				t.Errorf("the read is answered %d %+v", status, body)
			}
			srv.Heal()
			if status, body = send(t, "POST", srv.URL+"/version/bump", bumping); status != 200 || srv.Version(shop) != "1.5.0" {
				t.Errorf("healed, the bump is answered %d %+v", status, body)
			}
		})
	}
}

// send sends one request, and returns the error that it is answered, if it is.
func send(t *testing.T, method, url, body string) (status int, failure client.ErrorBody) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var told client.ErrorResponse
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, told.Error
}

// TestOthersAreNotCounted: what is refused for its form, and what a node answers for itself.
func TestOthersAreNotCounted(t *testing.T) {
	srv := start(t)
	srv.FailNext(1, client.CodeForbidden)
	c := srv.Client()
	if _, err := c.Bump(t.Context(), client.BumpRequest{Scope: "huge"}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a malformed bump ends with %v", err)
	}
	if _, err := c.Health(t.Context()); err != nil {
		t.Errorf("health ends with %v", err)
	}
	if _, err := c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch, DryRun: true}); !errors.Is(err, client.ErrNotAllowed) {
		t.Errorf("a dry run ends with %v", err)
	}
}

// TestClientPassesOverFailures in no time, and the write is applied once.
func TestClientPassesOverFailures(t *testing.T) {
	tests := []struct {
		name     string
		fail     func(*clienttest.Server)
		replayed bool
	}{
		{"no leader, twice", func(srv *clienttest.Server) { srv.FailNext(2, client.CodeNoLeader) }, false},
		{"unknown and not applied", func(srv *clienttest.Server) { srv.FailNext(1, client.CodeOutcomeUnknown) }, false},
		{"unknown and applied", func(srv *clienttest.Server) { srv.LoseAnswers(1) }, true},
		{"unknown and applied, twice told", func(srv *clienttest.Server) { srv.LoseAnswers(2) }, true},
		{"applied, then no leader", func(srv *clienttest.Server) {
			srv.LoseAnswers(1)
			srv.FailNext(1, client.CodeNoLeader)
		}, true},
		{"nothing", func(srv *clienttest.Server) { srv.FailNext(0, client.CodeNoLeader) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			srv := start(t)
			test.fail(srv)
			resp, err := bump(t, srv.Client(client.WithTimeout(little)))
			if err != nil || resp.Revision != 2 || resp.Replayed != test.replayed {
				t.Errorf("the bump answers %+v, %v", resp, err)
			}
			if resp, err := bump(t, srv.Client()); err != nil || resp.Revision != 3 {
				t.Errorf("the next one answers %+v, %v", resp, err)
			}
		})
	}
}

// TestFailsForGood is a call that every node refuses.
func TestFailsForGood(t *testing.T) {
	srv := start(t)
	srv.FailNext(clienttest.Always, client.CodeNoLeader)
	if _, err := bump(t, srv.Client(client.WithTimeout(little))); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("the bump ends with %v", err)
	}
	if got := srv.Version(shop); got != "1.4.2" {
		t.Errorf("the shop is at %s", got)
	}
}

// TestUnknownOutcome tells apart by the key what was applied and what was not.
func TestUnknownOutcome(t *testing.T) {
	for _, applied := range []bool{true, false} {
		srv := start(t)
		if applied {
			srv.LoseAnswers(1)
		} else {
			srv.FailNext(1, client.CodeOutcomeUnknown)
		}
		srv.FailNext(clienttest.Always, client.CodeNoLeader)
		_, err := bump(t, srv.Client(client.WithTimeout(little)))
		got, ok := errors.AsType[*client.Error](err)
		if !ok || !errors.Is(err, client.ErrUnknownOutcome) {
			t.Fatalf("applied %t: the bump ends with %v", applied, err)
		}
		if moved := srv.Version(shop) != "1.4.2"; moved != applied {
			t.Errorf("applied %t: the shop is at %s", applied, srv.Version(shop))
		}
		srv.Heal()
		resp, err := bump(t, srv.Client(), client.IdempotencyKey(got.IdempotencyKey))
		if err != nil || resp.Replayed != applied || srv.Version(shop) != "1.5.0" {
			t.Errorf("applied %t: the repeat answers %+v, %v", applied, resp, err)
		}
	}
}

// TestFailuresComeInOrder: reads pass over those that are not theirs.
func TestFailuresComeInOrder(t *testing.T) {
	srv := start(t)
	srv.LoseAnswers(1)
	srv.FailNext(1, client.CodeForbidden)
	srv.FailNext(1, client.CodeUnauthenticated)
	c := srv.Client()
	check := func(want client.Code, err error) {
		t.Helper()
		if got, ok := errors.AsType[*client.Error](err); !ok || got.Code != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err := c.Entity(t.Context(), shop)
	check(client.CodeForbidden, err)
	_, err = bump(t, c) // its answer is lost, and its second attempt refused
	check(client.CodeUnauthenticated, err)
	if !errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("the outcome is not unknown: %v", err)
	}
	if _, err := c.Entity(t.Context(), shop); err != nil {
		t.Error(err)
	}
}

// TestSeedMeetsNoFailure: they are kept for the test's own requests.
func TestSeedMeetsNoFailure(t *testing.T) {
	srv := clienttest.New(t)
	srv.FailNext(1, client.CodeForbidden)
	srv.Seed(entities()...)
	c := srv.Client()
	if _, err := bump(t, c); !errors.Is(err, client.ErrNotAllowed) {
		t.Errorf("the first bump ends with %v", err)
	}
	if _, err := bump(t, c); err != nil {
		t.Error(err)
	}
}
