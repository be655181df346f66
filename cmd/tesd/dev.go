package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"golang.org/x/sync/errgroup"
)

// exampleRegistry is the registry that dev starts with.
//
//go:embed example-registry.json
var exampleRegistry []byte

// devNodes is how many nodes dev runs.
const devNodes = 3

// devFlags are the flags of dev.
type devFlags struct {
	portBase uint16
	dataDir  string
}

func (a *app) devCommand() *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:     "dev [flags]",
		GroupID: groupServer,
		Short:   "Run three nodes in one process, to try tesd",
		Long: `Runs a cluster of three nodes in one process, on loopback, with an example registry, until
Ctrl-C. Its data is in a temporary directory that is removed at the end, unless --data-dir
says where to keep it. If VERSION_SIGNING_KEY is set it is the signing key.

Nothing but the process is shared: the nodes talk to each other over their ports as they
would on three machines. To see one of them die, use "tesd serve".`,
		Example: `  tesd dev
  tesd dev --port-base 18001 --data-dir ./data`,
		Args: cobra.NoArgs,
	}
	c.Flags().Uint16Var(&f.portBase, "port-base", 8001,
		"first of the three HTTP `port`s; the raft ports are 1000 above them; 0 takes any that are free")
	c.Flags().StringVar(&f.dataDir, "data-dir", "", "`dir` to keep the data in")
	named := &textFlag{value: "error", kind: "trace|debug|info|warn|error"}
	c.Flags().Var(named, "log-level", "least level to log")
	return a.command(c, func(ctx context.Context, _ []string) error {
		level, err := logLevel(named.value)
		if err != nil {
			return usagef("--log-level %q: %v", named.value, err)
		}
		if f.portBase == 0 && f.dataDir != "" {
			return usagef("--port-base 0 goes with no --data-dir: its nodes would be at other addresses each time")
		}
		nodes, err := f.nodes([]byte(a.getenv(defaultKeyEnv)))
		if err != nil {
			return err
		}
		return a.logged(false, level, func(log hclog.Logger) error { return a.dev(ctx, f, nodes, log) })
	})
}

// nodes returns the settings of the nodes, but for their directories.
func (f devFlags) nodes(key []byte) ([]options, error) {
	addresses, err := f.addresses()
	if err != nil {
		return nil, err
	}
	var peers []cluster.Peer
	for i := range devNodes {
		peers = append(peers, cluster.Peer{ID: fmt.Sprintf("n%d", i+1), Address: addresses[devNodes+i]})
	}
	var nodes []options
	for i, p := range peers {
		nodes = append(nodes, options{
			nodeID: p.ID, registryID: client.DefaultRegistry, http: addresses[i], raft: p.Address, peers: peers,
			signingKey: key, alarmTimeout: 5 * time.Minute, maxWebSockets: 100,
		})
	}
	return nodes, nil
}

// addresses returns the HTTP addresses of the nodes, then their raft addresses.
func (f devFlags) addresses() ([]string, error) {
	const between = 1000 // HTTP and raft ports
	if f.portBase > 65535-between-devNodes+1 {
		return nil, usagef("--port-base %d leaves no room for the raft ports, 1000 above", f.portBase)
	}
	var addresses []string
	for i := range 2 * devNodes {
		if f.portBase != 0 {
			port := int(f.portBase) + i%devNodes + i/devNodes*between
			addresses = append(addresses, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close() // all at the end, so that none is found twice
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// dev runs the nodes until ctx ends.
func (a *app) dev(ctx context.Context, f devFlags, nodes []options, log hclog.Logger) (err error) {
	dir := f.dataDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tesd-dev-"); err != nil {
			return fmt.Errorf("making a directory for the data: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := f.claim(); err != nil {
		return err
	}
	seed := func() (fsm.Migrate, error) { return readMigrate(exampleRegistry, "file:example-registry.json") }
	group, ctx := errgroup.WithContext(ctx)
	// Nodes that stop all at once complain about each other; what matters is returned.
	quiet := context.AfterFunc(ctx, func() { log.SetLevel(hclog.Off) })
	defer quiet()
	var members []*member
	for _, o := range nodes {
		o.dataDir = filepath.Join(dir, o.nodeID)
		m, err := openMember(o, seed, log.Named(o.nodeID))
		if err != nil {
			group.Go(func() error { return fmt.Errorf("node %s: %w", o.nodeID, err) }) // ends the others
			break
		}
		members = append(members, m)
		group.Go(func() error {
			if err := m.run(ctx); err != nil {
				return fmt.Errorf("node %s: %w", o.nodeID, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		if len(members) < len(nodes) || !allReady(ctx, members) {
			return nil // it ends already
		}
		if _, err := fmt.Fprint(a.stdout, devText(members, f.dataDir)); err != nil {
			return fmt.Errorf("writing the output: %w", err)
		}
		return nil
	})
	return group.Wait()
}

// claim notes the ports in the directory whose data is kept, or finds that it was used with
// others: its nodes know each other by their addresses.
func (f devFlags) claim() error {
	file, own := filepath.Join(f.dataDir, "port-base"), strconv.Itoa(int(f.portBase))
	was, err := os.ReadFile(file)
	switch {
	case err == nil && string(was) != own:
		return fmt.Errorf("the data in %s is that of nodes with --port-base %s; start it with that one", f.dataDir, was)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading which ports the data directory is used with: %w", err)
	}
	if err = os.MkdirAll(f.dataDir, 0o700); err == nil {
		err = os.WriteFile(file, []byte(own), 0o600)
	}
	if err != nil {
		return fmt.Errorf("noting which ports the data directory is used with: %w", err)
	}
	return nil
}

// allReady waits until all members are ready, and returns false if ctx ends before that.
func allReady(ctx context.Context, members []*member) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ready := true
		for _, m := range members {
			for _, check := range m.node.Ready() {
				ready = ready && check.OK
			}
		}
		if ready {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// devText says what runs and what can be done with it.
func devText(members []*member, dataDir string) string {
	var urls []string
	for _, m := range members {
		urls = append(urls, "http://"+m.listener.Addr().String())
	}
	endpoints := ""
	if all := strings.Join(urls, ","); all != defaultEndpoints {
		endpoints = " --endpoints " + all
	}
	kept := "It is gone when you stop it with Ctrl-C."
	if dataDir != "" {
		kept = "Stop it with Ctrl-C; its data stays in " + dataDir + "."
	}
	return fmt.Sprintf(`A cluster of three nodes is ready:
  %[1]s

Try, in another terminal:
  tesd bump minor component:booking-service --dry-run%[2]s
  tesd bump minor component:booking-service%[2]s
  tesd history%[2]s
  curl -s %[3]s/version/bump -H 'Content-Type: application/json' \
    -d '{"scope":"patch","entityId":"component:booking-service","dryRun":true}'
  curl -s %[3]s/version/bump -H 'Content-Type: application/json' \
    -d '{"scope":"patch","entityId":"component:booking-service"}'

%[4]s
`, strings.Join(urls, "  "), endpoints, urls[0], kept)
}
