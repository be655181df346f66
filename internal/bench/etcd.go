package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	// etcdKey is the key that the writer puts, and etcdValue what it puts: a version, as a
	// registry of versions would. tesd sends its watchers several times as much.
	etcdKey   = "global:main"
	etcdValue = "1.0.10000"
)

// etcd returns the peer, or an error that says how to get it.
func etcd(ctx context.Context, binary string) (*system, error) {
	path, err := exec.LookPath(binary)
	if err != nil {
		return nil, fmt.Errorf("there is no etcd (%w): install the package etcd-server, name the binary with --etcd, or measure tesd alone with --no-peer", err)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking etcd for its version: %w", err)
	}
	return &system{"etcd", parseEtcdVersion(string(out)), func(ctx context.Context, dir string, o nodeOptions) (*cluster, error) {
		return startEtcd(ctx, path, dir, o)
	}}, nil
}

// parseEtcdVersion takes the version of etcd and that of its Go from what it prints.
func parseEtcdVersion(text string) string {
	version := regexp.MustCompile(`(?m)^etcd Version: (\S+)$`).FindStringSubmatch(text)
	built := regexp.MustCompile(`(?m)^Go Version: (\S+)$`).FindStringSubmatch(text)
	if version == nil || built == nil {
		return "unknown"
	}
	return version[1] + " (" + built[1] + ")"
}

func startEtcd(ctx context.Context, binary, dir string, o nodeOptions) (*cluster, error) {
	c, err := launch(ctx, "etcd", dir, o, func(dir string, ports []string) ([]*node, error) {
		return etcdNodes(binary, dir, ports)
	}, etcdLeader)
	if err != nil {
		return nil, err
	}
	c.current = func(ctx context.Context) (int64, error) {
		k, err := dialEtcd(c.nodes[0].url)
		if err != nil {
			return 0, err
		}
		defer k.Close()
		r, err := k.Get(ctx, etcdKey)
		if err != nil {
			return 0, fmt.Errorf("reading the revision: %w", err)
		}
		return r.Header.Revision, nil
	}
	c.watch = func(ctx context.Context, count, connections int, base int64, room int) ([]*watcher, error) {
		return watchEtcd(ctx, c.nodes[0].url, count, connections, base, room)
	}
	return c, nil
}

func etcdNodes(binary, dir string, ports []string) ([]*node, error) {
	var nodes []*node
	var peers []string
	for i := range 3 {
		peers = append(peers, fmt.Sprintf("n%d=http://%s", i+1, ports[3+i]))
	}
	for i := range 3 {
		id, url, peer := fmt.Sprintf("n%d", i+1), "http://"+ports[i], "http://"+ports[3+i]
		p, err := startProcess(id, dir, binary, "--name", id, "--data-dir", filepath.Join(dir, id),
			"--listen-client-urls", url, "--advertise-client-urls", url,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", strings.Join(peers, ","), "--initial-cluster-state", "new",
			"--logger", "zap", "--log-level", "warn")
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, &node{p, id, url})
	}
	return nodes, nil
}

// dialEtcd makes a client with one connection to one node.
func dialEtcd(url string) (*clientv3.Client, error) {
	k, err := clientv3.New(clientv3.Config{
		Endpoints: []string{url}, DialTimeout: 30 * time.Second, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithNoProxy()},
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd: %w", err)
	}
	return k, nil
}

// etcdLeader finds the leader once all nodes know it.
func etcdLeader(ctx context.Context, nodes []*node) (int, error) {
	leader := -1
	for i, n := range nodes {
		k, err := dialEtcd(n.url)
		if err != nil {
			return 0, err
		}
		one, cancel := context.WithTimeout(ctx, 2*time.Second)
		s, err := k.Status(one, n.url)
		cancel()
		k.Close()
		if err != nil {
			return 0, fmt.Errorf("asking a node of etcd: %w", err)
		}
		if s.Leader == 0 {
			return 0, errors.New("a node of etcd knows no leader")
		}
		if s.Leader == s.Header.MemberId {
			leader = i
		}
	}
	if leader < 0 {
		return 0, errors.New("no node of etcd leads")
	}
	return leader, nil
}

// watchEtcd opens watchers with the official client. Watchers of one client share its
// connection.
func watchEtcd(ctx context.Context, url string, count, connections int, base int64, room int) ([]*watcher, error) {
	shared := make([]*clientv3.Client, connections)
	for i := range shared {
		k, err := dialEtcd(url)
		if err != nil {
			return nil, err
		}
		shared[i] = k
	}
	return openAll(ctx, count, func(ctx context.Context, i int) (*watcher, error) {
		if connections > 0 {
			return watchEtcdBy(ctx, shared[i%connections], base, room, i < connections)
		}
		k, err := dialEtcd(url)
		if err != nil {
			return nil, err
		}
		return watchEtcdBy(ctx, k, base, room, true)
	})
}

// watchEtcdBy opens one watcher of a client, which the watcher that owns it closes.
func watchEtcdBy(ctx context.Context, k *clientv3.Client, base int64, room int, owns bool) (*watcher, error) {
	ended, cancel := context.WithCancel(context.WithoutCancel(ctx))
	events := k.Watch(ended, etcdKey, clientv3.WithRev(base+1), clientv3.WithCreatedNotify())
	w := newWatcher(base, room)
	w.cancel = func() {
		cancel()
		if owns {
			k.Close()
		}
	}
	select {
	case r, ok := <-events:
		if !ok || !r.Created {
			w.cancel()
			return nil, fmt.Errorf("watching etcd was refused: %w", r.Err())
		}
	case <-time.After(30 * time.Second):
		w.cancel()
		return nil, errors.New("etcd did not answer a watcher in 30 s")
	case <-ctx.Done():
		w.cancel()
		return nil, ctx.Err()
	}
	go w.run(ended, func() error { return receiveEtcd(events, w) })
	return w, nil
}

func receiveEtcd(events clientv3.WatchChan, w *watcher) error {
	clock := newClock()
	for r := range events {
		now := clock.now()
		if err := r.Err(); err != nil {
			return fmt.Errorf("watching etcd: %w", err)
		}
		for _, e := range r.Events {
			if err := w.receive(e.Kv.ModRevision, now); err != nil {
				return err
			}
		}
	}
	return errors.New("etcd ended a watch")
}

// etcdPutter returns what puts the key once and returns the revision.
func etcdPutter(url string) (func(context.Context) (int64, error), error) {
	k, err := dialEtcd(url)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (int64, error) {
		r, err := k.Put(ctx, etcdKey, etcdValue)
		if err != nil {
			return 0, fmt.Errorf("putting: %w", err)
		}
		return r.Header.Revision, nil
	}, nil
}
