package httpapi_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
)

// TestMembershipRoutes checks what the requests ask of the node, and that they answer the
// cluster.
func TestMembershipRoutes(t *testing.T) {
	h := start(t)
	h.node.members = []cluster.Member{{ID: "n1", RaftAddress: "127.0.0.1:9001", Voter: true, Status: &h.node.status}}
	for _, r := range []*reply{
		h.post("/cluster/nodes", `{"id":"n4","address":"127.0.0.1:9004"}`),
		h.post("/cluster/nodes", `{"id":"n4","address":"127.0.0.1:9004","replace":true}`),
		h.do("DELETE", "/cluster/nodes/n4", ""),
		h.post("/cluster/transfer", `{"to":"n2"}`),
		h.post("/cluster/transfer", `{}`),
		h.post("/cluster/transfer", ``),
	} {
		if got := decodeAs[client.ClusterStatus](r); got.ClusterID != clusterID || len(got.Nodes) != 1 || got.Leader != "n1" {
			t.Errorf("got %+v", got)
		}
	}
	want := []string{"add n4=127.0.0.1:9004 false", "add n4=127.0.0.1:9004 true", "remove n4", "transfer n2", "transfer ", "transfer "}
	if !slices.Equal(h.node.changes, want) {
		t.Errorf("the node was asked for %q, want %q", h.node.changes, want)
	}
	if h.node.deadline <= 0 || h.node.deadline.Seconds() > 10 {
		t.Errorf("the deadline was %v away, want 10 s", h.node.deadline)
	}
}

// TestMembershipErrors checks what the node's errors come to.
func TestMembershipErrors(t *testing.T) {
	h := start(t)
	for _, c := range []struct {
		err     error
		status  int
		code    client.Code
		outcome client.Outcome
	}{
		{fmt.Errorf("%w: node n1 is the only voter", cluster.ErrMembership), 409, client.CodeMembership, client.OutcomeRejected},
		{fmt.Errorf("%w: %q", cluster.ErrNoNode, "n9"), 404, client.CodeNotFound, client.OutcomeRejected},
		{fmt.Errorf("%w: node n4 does not answer", cluster.ErrNotReady), 503, client.CodeNotReady, client.OutcomeNotApplied},
		{cluster.ErrNoLeader, 503, client.CodeNoLeader, client.OutcomeNotApplied},
		{fmt.Errorf("%w: leadership lost", cluster.ErrUnknownOutcome), 504, client.CodeOutcomeUnknown, client.OutcomeUnknown},
	} {
		h.node.changeErr = c.err
		replies := []*reply{h.do("DELETE", "/cluster/nodes/n4", ""), h.post("/cluster/transfer", `{}`)}
		if c.code != client.CodeNotFound { // there need not be one to add it
			replies = append(replies, h.post("/cluster/nodes", `{"id":"n4","address":"127.0.0.1:9004"}`))
		}
		for _, r := range replies {
			if e := r.wantFailure(c.status, c.code); e.Outcome != c.outcome || e.Message != c.err.Error() {
				t.Errorf("error is %+v", e)
			}
		}
	}
}

// badMembership are requests to change the membership that are refused.
func badMembership() []refusal {
	bad := func(name, method, path, body string, paths ...string) refusal {
		return refusal{name: name, method: method, path: path, body: body, status: 400, code: client.CodeInvalidRequest, paths: paths}
	}
	return []refusal{
		bad("add without a body", "POST", "/cluster/nodes", "", ""),
		bad("add of nothing", "POST", "/cluster/nodes", "{}", "id", "address"),
		bad("add with an unknown field", "POST", "/cluster/nodes", `{"id":"n4","address":"a:1","voter":true}`, "voter"),
		bad("add with null", "POST", "/cluster/nodes", `{"id":"n4","address":null}`, "address"),
		bad("add with a bad id", "POST", "/cluster/nodes", `{"id":"a b","address":"a:1"}`, "id"),
		bad("add with an empty id", "POST", "/cluster/nodes", `{"id":"","address":"a:1"}`, "id"),
		bad("add without a port", "POST", "/cluster/nodes", `{"id":"n4","address":"a"}`, "address"),
		bad("add with a bad port", "POST", "/cluster/nodes", `{"id":"n4","address":"a:99999"}`, "address"),
		bad("add with a parameter", "POST", "/cluster/nodes?replace", `{"id":"n4","address":"a:1"}`, "?replace"),
		bad("remove with a body", "DELETE", "/cluster/nodes/n4", "{}", ""),
		bad("remove with a parameter", "DELETE", "/cluster/nodes/n4?force=true", "", "?force"),
		bad("transfer to nobody", "POST", "/cluster/transfer", `{"to":""}`, "to"),
		bad("transfer to a number", "POST", "/cluster/transfer", `{"to":2}`, "to"),
		{name: "nodes listed", method: "GET", path: "/cluster/nodes", status: 405, code: client.CodeMethodNotAllowed},
		{name: "node posted", path: "/cluster/nodes/n4", body: "{}", status: 405, code: client.CodeMethodNotAllowed},
	}
}
