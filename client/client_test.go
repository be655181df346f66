package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tesd/tesd/client"
)

func TestNewNamesAllFaults(t *testing.T) {
	tests := []struct {
		name      string
		endpoints []string
		options   []client.Option
		want      []string // parts of the error, none for success
	}{
		{name: "one", endpoints: []string{"http://127.0.0.1:8001"}},
		{name: "below a path", endpoints: []string{"https://tesd.example/a/b/"}},
		{name: "none", want: []string{"no endpoint"}},
		{
			name:      "every endpoint",
			endpoints: []string{"127.0.0.1:8001", "ftp://a", "http://", "http://a/?q=1", "http://u:p@a", "http://a:b", "http://a:70000"},
			want:      []string{`"127.0.0.1:8001"`, `"ftp://a"`, `"http://"`, `"http://a/?q=1"`, `"http://u:p@a"`, `"http://a:b"`, `"http://a:70000": the port`},
		},
		{
			name:    "with options",
			options: []client.Option{client.WithRegistry("-a"), client.WithTimeout(0)},
			want:    []string{"no endpoint", `"-a"`, "timeout 0s"},
		},
		{
			name:      "long registry id",
			endpoints: []string{"http://a"},
			options:   []client.Option{client.WithRegistry(strings.Repeat("a", 65))},
			want:      []string{"not a registry id"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.New(test.endpoints, test.options...)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("got error %v, want %q", err, test.want)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not name %s", err, part)
				}
			}
		})
	}
}

// TestSenselessCallsAreNotSent has calls refused here, where no server could tell what was meant.
func TestSenselessCallsAreNotSent(t *testing.T) {
	c, err := client.New([]string{"http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for want, call := range map[string]func() error{
		"the id of the entity is empty": func() error { _, err := c.Entity(ctx, ""); return err },
		"id of the entity is empty":     func() error { _, err := c.Put(ctx, client.Entity{}); return err },
		"of the entity is empty":        func() error { _, err := c.Delete(ctx, ""); return err },
		"the id of the node is empty":   func() error { _, err := c.RemoveNode(ctx, ""); return err },
		"CreateOnly is an option of Put alone": func() error {
			_, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch}, client.CreateOnly())
			return err
		},
	} {
		if err := call(); !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an invalid request: %s", err, want)
		}
	}
}

// TestRequests holds every route to the request that it sends.
func TestRequests(t *testing.T) {
	type request struct {
		Line, Body, Key, IfMatch, ContentType string
	}
	var got request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = request{
			Line: r.Method + " " + r.RequestURI, Body: string(body), Key: r.Header.Get("Idempotency-Key"),
			IfMatch: r.Header.Get("If-Match"), ContentType: r.Header.Get("Content-Type"),
		}
		io.WriteString(w, "{}")
	}))
	defer server.Close()

	const jsonType = "application/json"
	key := client.IdempotencyKey("k")
	tests := []struct {
		name     string
		registry string
		call     func(*client.Client) error
		want     request
	}{
		{"bump", "", func(c *client.Client) error {
			_, err := c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch}, key, client.IfMatch(7))
			return err
		}, request{"POST /version/bump", `{"scope":"patch"}`, "k", `"7"`, jsonType}},
		{"dry run has no key", "", func(c *client.Client) error {
			_, err := c.Bump(t.Context(), client.BumpRequest{Scope: client.Major, EntityID: "a", DryRun: true}, key)
			return err
		}, request{"POST /version/bump", `{"scope":"major","entityId":"a","dryRun":true}`, "", "", jsonType}},
		{"batch", "other", func(c *client.Client) error {
			_, err := c.Batch(t.Context(), client.BatchRequest{Requests: []client.BumpRequest{{Scope: client.Minor, EntityID: "a"}}}, key)
			return err
		}, request{"POST /registries/other/version/batch", `{"requests":[{"scope":"minor","entityId":"a"}]}`, "k", "", jsonType}},
		{"migrate sends no null", "", func(c *client.Client) error {
			_, err := c.Migrate(t.Context(), client.MigrateRequest{Source: "s", Entities: []client.Entity{{ID: "a"}}}, key)
			return err
		}, request{"POST /version/migrate", `{"source":"s","entities":[{"id":"a","type":"","currentVersion":"",` +
			`"updateStrategy":"","files":[],"displayInUi":false,"displayName":""}]}`, "k", "", jsonType}},
		{"put", "", func(c *client.Client) error {
			_, err := c.Put(t.Context(), client.Entity{ID: "@a/b", CurrentVersion: "1.0.0"}, key, client.CreateOnly())
			return err
		}, request{"PUT /version/entities/@a%2Fb", `{"id":"@a/b","type":"","updateStrategy":"",` +
			`"files":[],"displayInUi":false,"displayName":"","currentVersion":"1.0.0"}`, "k", "", jsonType}},
		{"delete", "other", func(c *client.Client) error {
			_, err := c.Delete(t.Context(), "@a/b", key, client.IfMatch(7))
			return err
		}, request{"DELETE /registries/other/version/entities/@a%2Fb", "", "k", `"7"`, ""}},
		{"registries", "other", func(c *client.Client) error {
			_, err := c.Registries(t.Context(), client.Stale())
			return err
		}, request{Line: "GET /registries?consistency=stale"}},
		{"registry page", "", func(c *client.Client) error {
			_, err := c.Registry(t.Context(), client.RegistryOptions{After: "a/b", Limit: 10})
			return err
		}, request{Line: "GET /version/registry?after=a%2Fb&limit=10"}},
		{"registry", client.DefaultRegistry, func(c *client.Client) error {
			_, err := c.Registry(t.Context(), client.RegistryOptions{})
			return err
		}, request{Line: "GET /version/registry"}},
		{"registry with filters", "r2", func(c *client.Client) error {
			o := client.RegistryOptions{Type: "component", Parent: "a b", DisplayInUI: new(false), Query: "x&y"}
			_, err := c.Registry(t.Context(), o, client.MaxStale(2*time.Second))
			return err
		}, request{Line: "GET /registries/r2/version/registry?consistency=stale&displayInUi=false&max_stale=2s&parent=a+b&q=x%26y&type=component"}},
		{"entity with a slash", "", func(c *client.Client) error {
			_, err := c.Entity(t.Context(), "@babel/core", client.Stale())
			return err
		}, request{Line: "GET /version/entities/@babel%2Fcore?consistency=stale"}},
		{"entity of another registry", "r.2_a-b", func(c *client.Client) error {
			_, err := c.Entity(t.Context(), "a/b/c:1~+", client.MinRevision(9))
			return err
		}, request{Line: "GET /registries/r.2_a-b/version/entities/a%2Fb%2Fc:1~+?min_revision=9"}},
		{"history", "", func(c *client.Client) error {
			_, err := c.History(t.Context(), client.HistoryOptions{})
			return err
		}, request{Line: "GET /version/history"}},
		{"history with all", "", func(c *client.Client) error {
			o := client.HistoryOptions{After: 3, Limit: 10, Last: 5, EntityID: "a/b", Receipts: true}
			_, err := c.History(t.Context(), o)
			return err
		}, request{Line: "GET /version/history?after=3&entityId=a%2Fb&last=5&limit=10&receipts=true"}},
		{"receipt", "other", func(c *client.Client) error {
			_, err := c.Receipt(t.Context(), 12)
			return err
		}, request{Line: "GET /registries/other/version/receipts/12"}},
		{"health", "other", func(c *client.Client) error {
			_, err := c.Health(t.Context())
			return err
		}, request{Line: "GET /registries/other/version/health"}},
		{"cluster", "other", func(c *client.Client) error {
			_, err := c.Cluster(t.Context())
			return err
		}, request{Line: "GET /cluster"}},
		{"ready", "other", func(c *client.Client) error {
			_, err := c.Ready(t.Context())
			return err
		}, request{Line: "GET /readyz?verbose=true"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, []string{server.URL + "/"}, client.WithRegistry(test.registry))
			if err := test.call(c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReady(t *testing.T) {
	lagging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "[-]caught up\n")
	}))
	defer lagging.Close()
	ready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "[+]caught up\n")
	}))
	defer ready.Close()

	report, err := newClient(t, []string{lagging.URL}).Ready(t.Context())
	if report != "[-]caught up" || !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("lagging: got %q, %v", report, err)
	}
	report, err = newClient(t, []string{lagging.URL, ready.URL}).Ready(t.Context())
	if report != "[+]caught up\n" || err != nil {
		t.Errorf("lagging and ready: got %q, %v", report, err)
	}
}

func TestBadKeyIsNotSent(t *testing.T) {
	c := newClient(t, []string{"http://127.0.0.1:1"})
	for _, key := range []string{" a", "a ", "a\n", "é", strings.Repeat("k", 256)} {
		_, err := c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch}, client.IdempotencyKey(key))
		if !errors.Is(err, client.ErrInvalid) {
			t.Errorf("key %q: got %v, want %v", key, err, client.ErrInvalid)
		}
	}
}

// newClient makes a client whose connections end with the test.
func newClient(t *testing.T, endpoints []string, options ...client.Option) *client.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	options = append([]client.Option{client.WithHTTPClient(&http.Client{Transport: transport})}, options...)
	c, err := client.New(endpoints, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWebPagesAreNotTesd has web pages at an endpoint: they are not taken for answers, and the next endpoint is
// asked.
func TestWebPagesAreNotTesd(t *testing.T) {
	page := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(status)
			io.WriteString(w, "<html>hello</html>")
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"revision":1}`) }))
	defer real.Close()
	for _, status := range []int{200, 404} {
		c := newClient(t, []string{page(status), real.URL})
		if r, err := c.Entity(t.Context(), "a"); err != nil || r.Revision != 1 {
			t.Errorf("with another endpoint: %+v, %v", r, err)
		}
		alone := newClient(t, []string{page(status)})
		if _, err := alone.Entity(t.Context(), "a"); !errors.Is(err, client.ErrUnavailable) || !strings.Contains(err.Error(), "web page") {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// TestConcurrentUse lets the race detector see many callers of one client.
func TestConcurrentUse(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, `{"revision":1}`)
	}))
	defer server.Close()
	gone := httptest.NewServer(nil)
	gone.Close()

	c := newClient(t, []string{gone.URL, server.URL})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 10 {
				if _, err := c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch}); err != nil {
					t.Error(err)
				}
				if _, err := c.Entity(t.Context(), "a"); !errors.Is(err, client.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
}
