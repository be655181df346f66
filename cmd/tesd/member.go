package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
	"golang.org/x/sync/errgroup"
)

// notice is how long a node that stops still takes connections, and answers that it is not
// ready: whoever balances load or retries learns it from an answer, not from a silence.
const notice = 300 * time.Millisecond

// httpGrace is how long requests that are under way may take to end when a node stops.
const httpGrace = 5 * time.Second

// member is one node with its HTTP server.
type member struct {
	node     *cluster.Node
	api      *httpapi.Server
	listener net.Listener
	log      hclog.Logger
}

// openMember opens a node's directory and ports. It starts nothing; run must follow, which
// closes them.
func openMember(o options, seed func() (fsm.Migrate, error), log hclog.Logger) (_ *member, err error) {
	storage, err := cluster.OpenDir(o.dataDir, log)
	if err != nil {
		return nil, err
	}
	release := func(closer func() error) {
		if err != nil {
			err = errors.Join(err, closer())
		}
	}
	listener, err := net.Listen("tcp", o.http)
	if err != nil {
		err = fmt.Errorf("listening on the HTTP port: %w", err)
		release(storage.Close)
		return nil, err
	}
	defer func() { release(listener.Close) }()
	address := o.http
	if strings.HasSuffix(address, ":0") { // any free port, which is known only now
		address = listener.Addr().String()
	}
	address = reachable(address, o.raft)
	node, err := cluster.Open(cluster.Config{
		NodeID: o.nodeID, RaftAddress: o.raft, HTTPAddress: address, Peers: o.peers,
		RegistryID: o.registryID, HistoryKeep: o.historyKeep, SigningKey: o.signingKey,
		Seed: seed, Storage: storage, Logger: log, Timing: cluster.Timing{Heartbeat: o.electionTimeout},
	})
	if err != nil {
		release(storage.Close)
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{
		Node: node, DefaultRegistry: o.registryID, AlarmTimeout: o.alarmTimeout, Log: log, Version: readBuild().Version,
		MaxConnections: o.maxWebSockets, CacheTTL: o.cacheTTL,
	})
	if err != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		return nil, errors.Join(err, node.Run(ended)) // which closes what it has opened
	}
	return &member{node: node, api: api, listener: listener, log: log}, nil
}

// reachable is the address to tell others of a node that serves HTTP at address. One that means all
// interfaces says nothing to them: they reach the node's raft port, and so its host, at raft.
func reachable(address, raft string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return address
	}
	host, _, err = net.SplitHostPort(raft)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, port)
}

// run serves until ctx ends, then stops in good order: the node says that it is not
// ready, requests under way end, leadership is handed over. It returns nil after that, and
// otherwise why the node could not go on.
func (m *member) run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler:           m.api.Handler(),
		ConnContext:       httpapi.ConnContext,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// OPTIONS * is answered as any other path that is none.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     newHTTPLog(m.log.Named("http")),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := m.node.Run(life); err != nil {
			return fmt.Errorf("running the node: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		if err := server.Serve(httpapi.Listener(m.listener)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving HTTP: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		m.api.Drain()
		time.Sleep(notice)
		m.api.Close()
		grace, cancel := context.WithTimeout(life, httpGrace)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			m.log.Warn("requests were cut off", "error", err)
			server.Close()
		}
		end()
		return nil
	})
	return group.Wait()
}
