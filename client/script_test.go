package client_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
)

// A node stands for the other end: how it answers an attempt.
type node func(*http.Request) (*http.Response, error)

// refuse answers with an error body.
func refuse(status int, code client.Code, outcome client.Outcome) node {
	return answer(status, fmt.Sprintf(`{"success":false,"error":{"code":%q,"message":"why","outcome":%q,`+
		`"context":{"requestId":"r1"},"details":[{"path":"p","message":"m"}]}}`, code, outcome))
}

// answer answers with a body, and headers given as "name: value".
func answer(status int, body string, headers ...string) node {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			h.Set(name, value)
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// hang answers nothing.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// dead refuses the connection, broken loses it with the request on its way.
func dead(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func broken(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

var (
	done        = answer(200, `{"success":true,"revision":5}`)
	noLeader    = refuse(503, client.CodeNoLeader, client.OutcomeNotApplied)
	outOfTime   = refuse(504, client.CodeOutcomeUnknown, client.OutcomeUnknown)
	conflict    = refuse(409, client.CodeVersionConflict, client.OutcomeRejected)
	forbidden   = refuse(403, client.CodeForbidden, client.OutcomeRejected)
	noSuchRoute = refuse(404, client.CodeNotFound, client.OutcomeRejected)
	keyReused   = refuse(422, client.CodeIdempotencyKeyReused, client.OutcomeRejected)
	throttled   = answer(429, `{"error":{"code":"TOO_MANY_REQUESTS","outcome":"not_applied"}}`, "Retry-After: 3")
)

// An attempt is a request as the script saw it.
type attempt struct {
	Host string
	At   time.Duration // since the script began
	Key  string
}

// A script answers each attempt by the next of its nodes, the last of them for ever.
type script struct {
	nodes    []node
	attempts []attempt
	start    time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	next := s.nodes[min(len(s.attempts), len(s.nodes)-1)]
	s.attempts = append(s.attempts, attempt{r.URL.Host, time.Since(s.start), r.Header.Get("Idempotency-Key")})
	return next(r)
}

// play makes a client whose attempts the nodes answer.
func play(t *testing.T, endpoints int, nodes ...node) (*client.Client, *script) {
	t.Helper()
	s := &script{nodes: nodes, start: time.Now()}
	c := newClient(t, []string{"http://n1", "http://n2", "http://n3"}[:endpoints],
		client.WithHTTPClient(&http.Client{Transport: s}))
	return c, s
}
