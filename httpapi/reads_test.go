package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
)

// TestReadModes checks what each way of asking passes on to the node.
func TestReadModes(t *testing.T) {
	h := start(t)
	read := func(mode cluster.ReadMode, age time.Duration, revision uint64) cluster.ReadOptions {
		return cluster.ReadOptions{Mode: mode, MaxStale: age, MinRevision: revision, Registry: defaultRegistry}
	}
	for query, want := range map[string]cluster.ReadOptions{
		"":                                  read(cluster.Linearizable, 0, 0),
		"consistency=linearizable":          read(cluster.Linearizable, 0, 0),
		"consistency=stale":                 read(cluster.Stale, 0, 0),
		"max_stale=2s":                      read(cluster.Stale, 2*time.Second, 0),
		"consistency=stale&max_stale=150ms": read(cluster.Stale, 150*time.Millisecond, 0),
		"min_revision=1":                    read(cluster.Stale, 0, 1),
		"min_revision=1&consistency=linearizable": read(cluster.Linearizable, 0, 1),
		"min_revision=1&consistency=stale":        read(cluster.Stale, 0, 1),
		"min_revision=1&max_stale=1m":             read(cluster.Stale, time.Minute, 1),
	} {
		for _, path := range []string{"/version/registry", "/version/entities/global:main", "/version/history", "/version/receipts/1"} {
			r := h.get(path + "?" + query)
			if r.status != 200 {
				t.Errorf("%s?%s: %s", path, query, r.body)
			}
			for name, want := range map[string]string{"ETag": `"1"`, "Tes-Revision": "1", "Tes-Node": "n1", "Tes-Cluster": clusterID} {
				if r.header.Get(name) != want {
					t.Errorf("%s: header %s is %q, want %q", path, name, r.header.Get(name), want)
				}
			}
			if got := h.node.reads[len(h.node.reads)-1]; got != want {
				t.Errorf("%s?%s: read with %+v, want %+v", path, query, got, want)
			}
			atOnce := want == read(cluster.Stale, 0, 0) // which needs no deadline
			if !atOnce && (h.node.deadline <= 0 || h.node.deadline > 10*time.Second) {
				t.Errorf("the deadline was %v away, want 10 s", h.node.deadline)
			}
		}
	}
	reads := len(h.node.reads)
	for _, local := range []string{"/version/health", "/cluster", "/livez", "/readyz"} {
		if h.get(local); len(h.node.reads) != reads {
			t.Errorf("%s is not answered from the node's own state", local)
		}
	}
}

// TestIfNoneMatch asks for what the caller may have already.
func TestIfNoneMatch(t *testing.T) {
	h := start(t)
	for _, path := range []string{"/version/registry", "/version/entities/global:main", "/version/history", "/version/receipts/1"} {
		for header, status := range map[string]int{
			`"1"`: 304, `W/"1"`: 304, `"0", "1"`: 304, `"0" ,W/"1"`: 304, `*`: 304,
			`"2"`: 200, `1`: 200, `"11"`: 200, `"`: 200,
		} {
			for _, method := range []string{"GET", "HEAD"} {
				r := h.do(method, path, "", "If-None-Match: "+header)
				if r.status != status || r.header.Get("ETag") != `"1"` || r.header.Get("Tes-Revision") != "1" {
					t.Errorf("%s %s with %s: status %d, headers %v", method, path, header, r.status, r.header)
				}
				if empty := r.body == ""; empty != (method == "HEAD" || status == 304) {
					t.Errorf("%s %s with %s: body %q", method, path, header, r.body)
				}
			}
		}
	}
	h.get("/version/entities/nope", "If-None-Match: *").wantFailure(404, client.CodeEntityNotFound)
	h.get("/version/receipts/9", `If-None-Match: "1"`).wantFailure(404, client.CodeRevisionNotFound)
}

// TestHead gets the headers of a GET, without its body.
func TestHead(t *testing.T) {
	h := start(t)
	for _, path := range []string{"/version/registry", "/version/health", "/cluster", "/livez", "/readyz", "/nope", "/version/receipts/7"} {
		get, head := h.get(path, "X-Request-Id: x"), h.do("HEAD", path, "", "X-Request-Id: x")
		get.header.Del("Date")
		head.header.Del("Date")
		if diff := cmp.Diff(get.header, head.header); get.status != head.status || diff != "" {
			t.Errorf("%s: status %d and %d, headers (-GET +HEAD):\n%s", path, get.status, head.status, diff)
		}
		if head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(len(get.body)) {
			t.Errorf("%s: body %q, headers %v", path, head.body, head.header)
		}
	}
}

// TestBodyOfGet is ignored.
func TestBodyOfGet(t *testing.T) {
	h := start(t)
	if r := h.do("GET", "/version/registry", `{"nonsense":`); r.status != 200 {
		t.Error(r.body)
	}
}

// TestEntityPaths finds an id however its slash is written.
func TestEntityPaths(t *testing.T) {
	h := start(t)
	for _, path := range []string{
		"/version/entities/@babel/core", "/version/entities/@babel%2Fcore", "/version/entities/%40babel%2fcore",
		"/registries/tes-registry-v1/version/entities/@babel/core", "/registries/%74es-registry-v1/version/entities/@babel%2Fcore",
	} {
		if got := decodeAs[client.EntityResponse](h.get(path)); got.Entity.ID != "@babel/core" || got.Revision != 1 {
			t.Errorf("%s: got %+v", path, got)
		}
	}
}

// page is the answer of the registry route.
type page struct {
	client.RegistryResponse
	Next string `json:"next"`
}

// TestRegistryFilters checks which entities each filter lets through, in which order.
func TestRegistryFilters(t *testing.T) {
	h := start(t)
	for query, want := range map[string]string{
		"":                                  "@babel/core api:full component:shop global:main",
		"type=component":                    "component:shop",
		"type=cli-tool":                     "",
		"parent=global:main":                "api:full component:shop",
		"parent=nobody":                     "",
		"displayInUi=true":                  "global:main",
		"displayInUi=false":                 "@babel/core api:full component:shop",
		"q=SOLD":                            "component:shop",
		"q=babel":                           "@babel/core",
		"q=full":                            "api:full",
		"q=":                                "@babel/core api:full component:shop global:main",
		"q=a&parent=global:main":            "api:full component:shop",
		"type=api-scope&displayInUi=true":   "",
		"after=api:full":                    "component:shop global:main",
		"after=b":                           "component:shop global:main",
		"after=z":                           "",
		"limit=2":                           "@babel/core api:full | api:full",
		"limit=4":                           "@babel/core api:full component:shop global:main",
		"limit=1&after=api:full":            "component:shop | component:shop",
		"limit=1&type=global":               "global:main",
		"limit=1&displayInUi=false&after=B": "api:full | api:full",
	} {
		got := decodeAs[page](h.get("/version/registry?" + query))
		var ids []string
		for _, e := range got.Entities {
			ids = append(ids, e.ID)
		}
		if got.Next != "" {
			ids = append(ids, "|", got.Next)
		}
		if strings.Join(ids, " ") != want {
			t.Errorf("%s: got %v, want %s", query, ids, want)
		}
	}
}

// TestLifecycle moves a registry through its lifecycles.
func TestLifecycle(t *testing.T) {
	h := startEmpty(t, newFakeNode(0))
	check := func(want string) {
		t.Helper()
		for _, prefix := range []string{"", "/registries/" + defaultRegistry} {
			if got := decodeAs[client.Health](h.get(prefix + "/version/health")).Lifecycle; got != want {
				t.Errorf("health says %s, want %s", got, want)
			}
			if got := decodeAs[page](h.get(prefix + "/version/registry")).Lifecycle; got != want {
				t.Errorf("the registry is %s, want %s", got, want)
			}
		}
	}
	check("CREATED")
	h.migrate("", example())
	check("RUNNING")
	last := time.UnixMilli(h.node.stamp)
	h.now = last.Add(5*time.Minute - time.Millisecond)
	check("RUNNING")
	h.now = last.Add(5 * time.Minute)
	check("TERMINATED")
	h.post("/version/bump", `{"scope":"patch","entityId":"global:main"}`)
	check("RUNNING")
	h.node.status.Leader = ""
	check("BLOCKED")
	h.node.status.StorageFull = true
	check("ERROR")
	h.node.status.StorageFull, h.node.status.Diverged = false, true
	check("ERROR")
	h.node.status.Diverged, h.node.status.Leader = false, "n1"
	check("RUNNING")
}

// startWithHistory makes n bumps after the migrate, of the shop each third time.
func startWithHistory(t *testing.T, n int, keep uint64) *harness {
	h := startEmpty(t, newFakeNode(keep))
	h.migrate("", example())
	for i := range n {
		id := "global:main"
		if i%3 == 2 {
			id = "component:shop"
		}
		h.post("/version/bump", fmt.Sprintf(`{"scope":"patch","entityId":%q,"cascade":false}`, id))
	}
	return h
}

// TestHistoryPages checks which transactions each query answers.
func TestHistoryPages(t *testing.T) {
	h := startWithHistory(t, 9, 0) // revisions 1 to 10; the shop moves at 1, 4, 7 and 10
	for query, want := range map[string]string{
		"":                                "1 2 3 4 5 6 7 8 9 10",
		"after=0&limit=3":                 "1 2 3 | 3",
		"after=3&limit=3":                 "4 5 6 | 6",
		"after=7&limit=3":                 "8 9 10",
		"after=10":                        "",
		"after=99":                        "",
		"after=18446744073709551615":      "",
		"last=1":                          "10",
		"last=4":                          "7 8 9 10",
		"last=1000":                       "1 2 3 4 5 6 7 8 9 10",
		"entityId=component:shop":         "1 4 7 10",
		"entityId=component:shop&limit=2": "1 4 | 4",
		"entityId=component:shop&limit=2&after=4": "7 10",
		"entityId=component:shop&after=5":         "7 10",
		"entityId=component:shop&last=1":          "10",
		"entityId=component:shop&last=3":          "4 7 10",
		"entityId=component:shop&last=4":          "1 4 7 10",
		"entityId=component:shop&last=9":          "1 4 7 10",
		"entityId=api:full":                       "1",
	} {
		got := decodeAs[client.HistoryResponse](h.get("/version/history?" + query))
		var revisions []string
		for _, e := range got.Events {
			revisions = append(revisions, strconv.FormatUint(e.Revision, 10))
			if e.Payload != "" || e.Hash != "" || e.Signature == "" {
				t.Errorf("%s: event is %+v", query, e)
			}
		}
		if got.Next != 0 {
			revisions = append(revisions, "|", strconv.FormatUint(got.Next, 10))
		}
		if strings.Join(revisions, " ") != want || got.Revision != 10 || got.OldestRevision != 1 {
			t.Errorf("%s: got %v at %d, want %s", query, revisions, got.Revision, want)
		}
	}
}

// TestHistoryVerifies proves a history from its receipts, with one of many pages.
func TestHistoryVerifies(t *testing.T) {
	h := startWithHistory(t, 9, 0)
	var events []client.Event
	for after := uint64(0); ; {
		got := decodeAs[client.HistoryResponse](h.get(fmt.Sprintf("/version/history?receipts=true&limit=4&after=%d", after)))
		events = append(events, got.Events...)
		if after = got.Next; after == 0 {
			break
		}
	}
	done, err := client.Verifier{Key: signingKey()}.VerifyHistory(events)
	if err != nil || done.Receipts != 10 || !done.Complete || !done.Signatures || done.ClusterID != clusterID {
		t.Errorf("verified %+v, %v", done, err)
	}
	for _, e := range events {
		got := decodeAs[client.Receipt](h.get(fmt.Sprintf("/version/receipts/%d", e.Revision)))
		want := client.Receipt{RegistryID: defaultRegistry, Revision: e.Revision, Payload: e.Payload, Hash: e.Hash, Signature: e.Signature, KeyID: e.KeyID}
		if got != want {
			t.Errorf("receipt %+v differs from event %+v", got, e)
		}
	}
}

// TestCompaction asks for more history than is kept.
func TestCompaction(t *testing.T) {
	h := startWithHistory(t, 9, 3) // of 1 to 10, it keeps 8, 9 and 10
	for _, path := range []string{"/version/history?after=0", "/version/history?after=6", "/version/history?after=0&entityId=global:main"} {
		e := h.get(path).wantFailure(410, client.CodeRevisionCompacted)
		if len(e.Details) != 1 || e.Details[0].Path != "?after" || !strings.Contains(e.Message, "8") {
			t.Errorf("%s: error is %+v", path, e)
		}
	}
	h.get("/version/receipts/7").wantFailure(410, client.CodeRevisionCompacted)
	h.get("/version/receipts/11").wantFailure(404, client.CodeRevisionNotFound)
	for query, first := range map[string]uint64{"": 8, "after=7": 8, "after=8": 9, "last=9": 8, "last=2": 9, "entityId=component:shop": 10} {
		got := decodeAs[client.HistoryResponse](h.get("/version/history?" + query))
		if len(got.Events) == 0 || got.Events[0].Revision != first || got.OldestRevision != 8 {
			t.Errorf("%s: got %+v", query, got)
		}
	}
	if got := decodeAs[client.HistoryResponse](h.get("/version/history?entityId=api:full")); len(got.Events) != 0 {
		t.Errorf("an entity whose transactions are gone has %+v", got.Events)
	}
}

// TestLargeBodies checks the limit of each write, and that a migrate's is its own.
func TestLargeBodies(t *testing.T) {
	h := start(t)
	send := func(path string, size int64) *reply {
		req, err := http.NewRequestWithContext(t.Context(), "POST", h.url+path, &spaces{size})
		if err != nil {
			t.Fatal(err)
		}
		return h.send(req, nil) // of unknown length, so in chunks
	}
	for path, limit := range map[string]int64{"/version/bump": 1 << 20, "/version/batch": 1 << 20, "/version/migrate": 64 << 20} {
		if e := send(path, limit).wantFailure(400, client.CodeInvalidRequest); !strings.Contains(e.Message, "empty") {
			t.Errorf("%s: %s", path, e.Message)
		}
		send(path, limit+1).wantFailure(413, client.CodePayloadTooLarge)
	}
}

// spaces is a body of so many spaces.
type spaces struct{ left int64 }

func (s *spaces) Read(p []byte) (int, error) {
	n := min(int64(len(p)), s.left)
	s.left -= n
	copy(p, slices.Repeat([]byte(" "), int(n)))
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return int(n), nil
}
