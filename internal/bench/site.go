package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/lan"
)

// A site is a cluster of tesd, each node on a machine of its own. The leader is the first node. A
// client's connection to a node is made inside the node's own machine, over its loopback: it has no
// delay, and costs the switch nothing.
type site struct {
	*cluster
	lan  *lan.LAN
	http *http.Client // from each node's own machine
}

// startSite starts three nodes that are delay away from each other, one way, with as many entities as loads
// are spread over. binary is a tesd.
func startSite(ctx context.Context, binary, dir string, delay time.Duration) (_ *site, err error) {
	s := &site{cluster: &cluster{system: "tesd"}}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.lan, err = lan.Start(3); err != nil {
		return nil, err
	}
	if delay > 0 {
		s.lan.Impair(lan.Impairment{Delay: delay}, lan.Ways(s.lan.Machines, s.lan.Machines)...)
	}
	s.http = &http.Client{Transport: &http.Transport{DialContext: s.lan.Dial}}
	if s.dir, err = os.MkdirTemp(dir, "bench-tesd-"); err != nil {
		return nil, fmt.Errorf("making a directory for data: %w", err)
	}
	var peers []string
	for i, m := range s.lan.Machines {
		peers = append(peers, fmt.Sprintf("n%d=%v:9001", i+1, m.Address))
	}
	for i, m := range s.lan.Machines {
		n, err := startNode(m, fmt.Sprintf("n%d", i+1), binary, s.dir, strings.Join(peers, ","))
		if err != nil {
			return nil, err
		}
		s.nodes = append(s.nodes, n)
	}
	if err := poll(ctx, 30*time.Second, s.findLeader); err != nil {
		return nil, fmt.Errorf("tesd did not become ready: %w", err)
	}
	return s, s.fill(ctx)
}

// startNode starts a node on a machine. It ends with the machine, should nobody stop it.
func startNode(m *lan.Machine, id, binary, dir, peers string) (n *node, err error) {
	web := fmt.Sprintf("%v:8001", m.Address)
	err = m.Do(func() error {
		p, err := startProcessWith(syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}, id, dir, binary, "serve",
			"--node-id", id, "--data-dir", filepath.Join(dir, id), "--http", web, "--raft", fmt.Sprintf("%v:9001", m.Address),
			"--peers", peers, "--insecure")
		n = &node{p, id, "http://" + web}
		return err
	})
	return n, err
}

// findLeader finds the leader once all nodes are ready, and puts it first.
func (s *site) findLeader(ctx context.Context) error {
	if err := s.alive(); err != nil {
		return errors.Join(errStop, err)
	}
	leader := -1
	for i, n := range s.nodes {
		api, err := s.api(n)
		if err != nil {
			return err
		}
		if _, err := api.Ready(ctx); err != nil {
			return fmt.Errorf("%s: %w", n.id, err)
		}
		h, err := api.Health(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", n.id, err)
		}
		if h.Role == "leader" {
			leader = i
		}
	}
	if leader < 0 {
		return errors.New("no node leads")
	}
	s.nodes[0], s.nodes[leader] = s.nodes[leader], s.nodes[0]
	s.leader = s.nodes[0]
	return nil
}

// api returns a client of one node.
func (s *site) api(n *node) (*client.Client, error) {
	api, err := client.New([]string{n.url}, client.WithHTTPClient(s.http))
	if err != nil {
		return nil, fmt.Errorf("talking to %s: %w", n.id, err)
	}
	return api, nil
}

// fill writes the registry, and waits until all nodes have it.
func (s *site) fill(ctx context.Context) error {
	api, err := s.api(s.leader)
	if err != nil {
		return err
	}
	entities := []client.Entity{{ID: entityID, Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: "Main"}}
	for i := range spread {
		entities = append(entities, client.Entity{
			ID: spreadID(i), Type: "component", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: fmt.Sprintf("Component %d", i),
		})
	}
	if _, err := api.Migrate(ctx, client.MigrateRequest{Source: "bench", Entities: entities}); err != nil {
		return fmt.Errorf("writing the registry: %w", err)
	}
	for _, n := range s.nodes {
		if api, err = s.api(n); err != nil {
			return err
		}
		if _, err := api.Registry(ctx, client.RegistryOptions{}); err != nil {
			return fmt.Errorf("reading the registry at %s: %w", n.id, err)
		}
	}
	return nil
}

// term returns the cluster's, as its leader sees it.
func (s *site) term(ctx context.Context) (uint64, error) {
	api, err := s.api(s.leader)
	if err != nil {
		return 0, err
	}
	c, err := api.Cluster(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the term: %w", err)
	}
	return c.Term, nil
}

// connect makes a connection to a node, from its own machine.
func (s *site) connect(ctx context.Context, n *node) (*httpConn, error) {
	host := strings.TrimPrefix(n.url, "http://")
	conn, err := s.lan.Dial(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", n.id, err)
	}
	return newHTTPConn(host, conn), nil
}

// stop ends all of it and removes the data.
func (s *site) stop() {
	for _, n := range s.nodes {
		n.process.stop()
	}
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	if s.lan != nil {
		s.lan.Close()
	}
	_ = os.RemoveAll(s.dir)
}
