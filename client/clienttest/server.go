// Package clienttest lets the tests of programs that use tesd run against one, in the same process and
// without a cluster: no raft, no disk, ready at once.
//
//	func TestRelease(t *testing.T) {
//		srv := clienttest.New(t)
//		srv.Seed(client.Entity{ID: "global:shop", Type: "global", CurrentVersion: "1.4.2",
//			UpdateStrategy: "independent", DisplayName: "Shop"})
//
//		release(srv.Client()) // what is tested
//
//		if got := srv.Version("global:shop"); got != "1.5.0" {
//			t.Errorf("the shop is at %s, want 1.5.0", got)
//		}
//	}
//
// The answers are true ones. Behind a [Server] stand tesd's own state machine and HTTP server: every
// route, refusal, header, receipt and idempotency key is as a cluster has them. What it has not is other
// nodes: it is the one node of its cluster, it leads, and its membership cannot be changed.
//
// # Failures
//
// What a registry refuses by itself, such as a conflict of versions, a test brings about by the state of
// the registry. What goes wrong in a cluster, it asks for: [Server.FailNext] has the next requests refused
// as by a cluster without a leader, say, [Server.LoseAnswers] has writes applied and their answers lost,
// and [Server.Close] takes the server away.
//
// A client tries again by itself. [Server.Client] makes one that takes the server for the three nodes of a
// cluster, so that it passes over one failure or two at once. After three, and after each
// [client.CodeTooManyRequests], it waits, by the clock, as long as servers ask it to: a second, if there is
// no leader. With less time than that it gives up at once, which is how to test what comes of a call that
// fails for good:
//
//	srv.FailNext(clienttest.Always, client.CodeNoLeader)
//	c := srv.Client(client.WithTimeout(900 * time.Millisecond)) // its calls end with client.ErrUnavailable
//
// and of a write that is applied without anyone being told:
//
//	srv.LoseAnswers(1)
//	srv.FailNext(clienttest.Always, client.CodeNoLeader)
//	c := srv.Client(client.WithTimeout(900 * time.Millisecond)) // its first write ends with client.ErrUnknownOutcome
//
// A server has a real port, so it does not work within a bubble of testing/synctest.
package clienttest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/httpapi"
	"github.com/tesd/tesd/internal/solo"
)

// clusterID is that of every server, so that the ids of transactions are the same in each run.
const clusterID = "7465736400000000636c69656e747465"

// alarmTimeout is after how long without transactions a registry counts as TERMINATED.
const alarmTimeout = 5 * time.Minute

// Server is a tesd for tests. It is safe for concurrent use; but a method that may end the test is for the
// test's own goroutine, as [testing.T.FailNow] is.
type Server struct {
	// URL is where the server is: http://, a loopback address and a port of its own.
	URL string

	tb        testing.TB
	node      *node
	web       *httptest.Server
	transport *http.Transport
	closing   sync.Once
}

// settings are what options change.
type settings struct {
	now func() time.Time
}

// An Option changes how [New] makes a server.
type Option func(*settings)

// WithClock has now, instead of time.Now, tell the time of transactions and for how long a registry has
// been idle. The server calls it from any goroutine.
func WithClock(now func() time.Time) Option {
	return func(s *settings) { s.now = now }
}

// New starts a server whose default registry, [client.DefaultRegistry], has no entities. It ends with the
// test.
func New(tb testing.TB, options ...Option) *Server {
	tb.Helper()
	set := settings{now: time.Now}
	for _, option := range options {
		option(&set)
	}
	web := httptest.NewUnstartedServer(nil)
	s := &Server{tb: tb, web: web, transport: &http.Transport{}}
	s.node = &node{Node: solo.New(solo.Config{
		NodeID: "n1", HTTPAddress: web.Listener.Addr().String(), Now: set.now,
		ClusterID: clusterID, Registry: client.DefaultRegistry, Key: s.SigningKey(),
	})}
	face, err := httpapi.New(httpapi.Config{
		Node: s.node, DefaultRegistry: client.DefaultRegistry, AlarmTimeout: alarmTimeout, Log: log{tb}, Now: set.now, MaxConnections: 100,
	})
	if err != nil {
		tb.Fatalf("clienttest: making a server: %v", err)
	}
	web.Config.Handler = face.Handler()
	web.Start()
	tb.Cleanup(s.Close)
	s.URL = web.URL
	return s
}

// Client makes a client that takes the server for the three nodes of a cluster. Its connections end with
// the server, unless it is given an [http.Client] of its own. The test ends if an option is wrong.
func (s *Server) Client(options ...client.Option) *client.Client {
	s.tb.Helper()
	options = append([]client.Option{client.WithHTTPClient(&http.Client{Transport: s.transport})}, options...)
	c, err := client.New([]string{s.URL, s.URL, s.URL}, options...)
	if err != nil {
		s.tb.Fatalf("clienttest: %v", err)
	}
	return c
}

// Close takes the server away, as a crash does: requests under way break off, and later ones find no
// connection. The test ends it by itself; a second Close does nothing.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.web.CloseClientConnections()
		s.web.Close()
		s.transport.CloseIdleConnections()
	})
}

// SigningKey returns the key that the server signs receipts with, for a [client.Verifier].
func (s *Server) SigningKey() []byte { return []byte("the signing key of a server for tests") }

// Seed gives the default registry its entities, in one transaction: revision 1. The test ends with all
// that is wrong with them, or if there are transactions already.
func (s *Server) Seed(entities ...client.Entity) {
	s.tb.Helper()
	defer s.node.resume(s.node.pause()) // the failures are for the test's own requests
	resp, err := s.Client().Migrate(context.Background(), client.MigrateRequest{Source: "clienttest", Entities: entities})
	if err != nil {
		s.tb.Fatalf("clienttest: seeding: %v%s", err, faults(err))
	}
	if !resp.Migrated {
		s.tb.Fatalf("clienttest: seeding: the registry is at revision %d already; put entities by a client", resp.Revision)
	}
}

// faults lists what a server has to say against entities, a line each.
func faults(err error) string {
	refused, ok := errors.AsType[*client.Error](err)
	if !ok {
		return ""
	}
	list := ""
	for _, d := range refused.Details {
		list += "\n\t" + d.Path + ": " + d.Message
	}
	if refused.Validation != nil {
		for _, f := range refused.Validation.Errors {
			list += "\n\t" + f.EntityID + ": " + f.Message
		}
	}
	return list
}

// Version returns the current version of an entity of the default registry. The test ends if there is
// none of that id.
func (s *Server) Version(id string) string {
	s.tb.Helper()
	r, _ := s.node.View().Registry(client.DefaultRegistry)
	entity, ok := r.Entity(id)
	if !ok {
		s.tb.Fatalf("clienttest: the registry has no entity %q", id)
	}
	return entity.CurrentVersion
}

// log tells a test what the server says is a defect of its own.
type log struct{ tb testing.TB }

func (log) IsInfo() bool        { return false }
func (log) Info(string, ...any) {}
func (log) Warn(string, ...any) {}

func (l log) Error(message string, args ...any) {
	l.tb.Helper()
	l.tb.Logf("tesd: %s %v", message, args)
}
