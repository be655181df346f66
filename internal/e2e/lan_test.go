package e2e_test

import (
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/lan"
)

// TestLeaderCutOff cuts the leader of four nodes off: users, who are cut off from it too, go on with
// another, and it follows once the network is whole again. The test reaches it all the time.
func TestLeaderCutOff(t *testing.T) {
	l, err := lan.Start(5)
	if err != nil {
		t.Skip("there can be no network that fails here:", err)
	}
	t.Cleanup(l.Close)
	c := e2e.Options{Nodes: 4, LAN: l, Args: []string{"--registry-file", example}}.New(t, binary)
	old := c.Leader()
	here := []*lan.Machine{old.Machine}
	cut := l.Impair(lan.Impairment{Cut: true}, append(lan.Ways(here, l.Machines), lan.Ways(l.Machines, here)...)...)
	c.Wait("the leader that is cut off does not give up", 20*time.Second, func() bool {
		h, err := c.Client(old).Health(t.Context())
		return err == nil && h.Role != "leader"
	})
	if _, code := c.Run("bump", "patch", "--all", "--timeout", "30s"); code != 0 {
		t.Errorf("a user's bump ends with %d", code)
	}
	if e := cut.End(); e.Lost == 0 {
		t.Error("nothing was lost")
	}
	c.Wait("it does not follow", 30*time.Second, func() bool {
		_, err := c.Client(old).Ready(t.Context())
		return err == nil
	})
	if _, err := c.Client(old).Bump(t.Context(), client.BumpRequest{Scope: client.Patch}); err != nil {
		t.Error(err)
	}
	if status := c.Status(); len(status.Nodes) != 4 {
		t.Errorf("there are %d nodes", len(status.Nodes))
	}
}
