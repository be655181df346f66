package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// The references, by which ratios tell the same on every machine: what the consensus library and its store
// do with nothing around them but net/http, and what net/http does with nothing behind it. Each is a process
// of this program.
const (
	raftCommand     = "serve-raft"
	constantCommand = "serve-constant"
)

// bareRaft is three nodes of the library with a state machine that counts: as it comes, or set otherwise, with the
// timer slack and the collector's target of tesd's nodes.
func bareRaft(set string) *system {
	name := "bare raft"
	if set != asItComes {
		name += ", " + set
	}
	return &system{name, "v1.7.3", func(ctx context.Context, dir string, o nodeOptions) (*cluster, error) {
		return launch(ctx, "raft", dir, o, func(dir string, ports []string) ([]*node, error) {
			self, err := os.Executable()
			if err != nil {
				return nil, fmt.Errorf("finding this program: %w", err)
			}
			var nodes []*node
			for i := range 3 {
				id := fmt.Sprintf("n%d", i+1)
				p, err := startProcess(id, dir, self, raftCommand, "--id", id, "--http", ports[i], "--raft", ports[3+i],
					"--peers", strings.Join(ports[3:], ","), "--dir", filepath.Join(dir, id), "--set", set)
				if err != nil {
					return nodes, err
				}
				nodes = append(nodes, &node{p, id, "http://" + ports[i]})
			}
			return nodes, nil
		}, raftLeader)
	}}
}

// raftLeader finds the leader.
func raftLeader(_ context.Context, nodes []*node) (int, error) {
	for i, n := range nodes {
		c, err := dialHTTP(n.url)
		if err != nil {
			return 0, err
		}
		status, _, err := c.do("GET", "/leader", nil)
		c.close()
		if err != nil {
			return 0, err
		}
		if status == http.StatusOK {
			return i, nil
		}
	}
	return 0, errors.New("no node leads")
}

// serveRaft is one node of the reference, until it is killed.
func serveRaft(args []string) error {
	f := flag.NewFlagSet(raftCommand, flag.ContinueOnError)
	id, httpAddress, raftAddress := f.String("id", "", ""), f.String("http", "", ""), f.String("raft", "", "")
	peers, dir, set := f.String("peers", "", ""), f.String("dir", "", ""), f.String("set", asItComes, "")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *set != asItComes {
		asOurs()
	}
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	s := settings(*set)
	s.bolt.Path = filepath.Join(*dir, "raft.db")
	store, err := raftboltdb.New(s.bolt)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	var logs raft.LogStore = store
	if s.cached > 0 {
		if logs, err = raft.NewLogCache(s.cached, store); err != nil {
			return fmt.Errorf("opening the log: %w", err)
		}
	}
	address, err := net.ResolveTCPAddr("tcp", *raftAddress)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	transport, err := raft.NewTCPTransportWithConfig(*raftAddress, address, &s.transport)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	cfg := s.raft
	cfg.LocalID = raft.ServerID(*id)
	snapshots := raft.NewDiscardSnapshotStore()
	var members raft.Configuration
	for i, peer := range strings.Split(*peers, ",") {
		members.Servers = append(members.Servers, raft.Server{ID: raft.ServerID(fmt.Sprintf("n%d", i+1)), Address: raft.ServerAddress(peer)})
	}
	if err := raft.BootstrapCluster(cfg, logs, store, snapshots, transport, members); err != nil {
		return fmt.Errorf("bootstrapping: %w", err)
	}
	node, err := raft.NewRaft(cfg, s.machine, logs, store, snapshots, transport)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	return http.ListenAndServe(*httpAddress, routes(node))
}

// routes are what the reference answers: with an entry of its own for each command as the library comes, or with one that
// is shared.
func routes(node *raft.Raft) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /leader", func(w http.ResponseWriter, _ *http.Request) {
		if node.State() != raft.Leader {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /apply", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			future := node.Apply(body, 10*time.Second)
			if err = future.Error(); err == nil {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(map[string]any{"count": future.Response()})
				return
			}
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
	})
	collecting := newCollector(node)
	go collecting.run() // until the process is killed
	mux.HandleFunc("POST /collect", collecting.serve)
	return mux
}

// constant is so many servers that answer the same to everyone: as net/http comes, or with their processes
// set as tesd sets its own.
func constant(body []byte, processes int, tuned bool) *system {
	name := "constant"
	if tuned {
		name += ", tuned"
	}
	if processes > 1 {
		name += fmt.Sprintf(", %d processes", processes)
	}
	return &system{name, "net/http", func(ctx context.Context, dir string, o nodeOptions) (*cluster, error) {
		return launch(ctx, "constant", dir, o, func(dir string, ports []string) (nodes []*node, err error) {
			self, err := os.Executable()
			if err != nil {
				return nil, fmt.Errorf("finding this program: %w", err)
			}
			file := filepath.Join(dir, "body")
			if err := os.WriteFile(file, body, 0o600); err != nil {
				return nil, fmt.Errorf("writing what to answer: %w", err)
			}
			for i := range processes {
				id := fmt.Sprintf("constant%d", i+1)
				p, err := startProcess(id, dir, self, constantCommand, "--http", ports[i], "--body", file, "--tuned="+strconv.FormatBool(tuned))
				if err != nil {
					return nodes, err
				}
				nodes = append(nodes, &node{p, id, "http://" + ports[i]})
			}
			return nodes, nil
		}, raftLeader)
	}}
}

// serveConstant serves until it is killed.
func serveConstant(args []string) error {
	f := flag.NewFlagSet(constantCommand, flag.ContinueOnError)
	address, file, tuned := f.String("http", "", ""), f.String("body", "", ""), f.Bool("tuned", false, "")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	body, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("reading what to answer: %w", err)
	}
	if *tuned {
		asOurs()
	}
	length := strconv.Itoa(len(body)) // without it net/http sends what is long in chunks, which costs both sides
	return http.ListenAndServe(*address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(body)
	}))
}
