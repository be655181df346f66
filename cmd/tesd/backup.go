package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// backupInfo is what backup and restore say about the state that they have written.
type backupInfo struct {
	File         string           `json:"file,omitzero"`
	DataDir      string           `json:"dataDir,omitzero"`
	ClusterID    string           `json:"clusterId"`
	AppliedIndex uint64           `json:"appliedIndex"`
	StateHash    string           `json:"stateHash"`
	Registries   []backupRegistry `json:"registries"`
}

type backupRegistry struct {
	RegistryID string `json:"registryId"`
	Revision   uint64 `json:"revision"`
	Entities   int    `json:"entities"`
}

func infoOf(view fsm.View) backupInfo {
	hash := view.StateHash()
	info := backupInfo{
		ClusterID: view.Cluster().ClusterID, AppliedIndex: view.Index(), StateHash: hex.EncodeToString(hash[:]),
		Registries: []backupRegistry{},
	}
	for r := range view.Registries() {
		info.Registries = append(info.Registries, backupRegistry{r.ID(), r.Revision(), r.Len()})
	}
	return info
}

func (p *page) backup(b backupInfo) {
	var rows [][]string
	for _, r := range b.Registries {
		rows = append(rows, []string{r.RegistryID, strconv.FormatUint(r.Revision, 10), strconv.Itoa(r.Entities)})
	}
	p.table([]string{"REGISTRY", "REVISION", "ENTITIES"}, rows)
	p.gap()
	p.facts("cluster", b.ClusterID, "applied index", strconv.FormatUint(b.AppliedIndex, 10), "state hash", b.StateHash)
}

func (a *app) backupCommand() *cobra.Command {
	var (
		t     *tool
		stale bool
		dir   string
	)
	c := &cobra.Command{
		Use:     "backup FILE [flags]",
		GroupID: groupServer,
		Short:   "Write the whole state of the cluster to a file",
		Long: `Writes the whole state of the cluster, as of one moment, to FILE: every registry with its
history, and all idempotency keys. The cluster goes on meanwhile. The file is checked before
it gets its name, and replaces one that has it; "-" is standard output. Only its owner can
read it: it holds the signing key if the cluster made one.

By default the state holds all that was acknowledged before, which needs a leader. If the
majority of the nodes is gone for good, --stale takes what a node has that still runs, and
--data-dir what is in the directory of one that does not.`,
		Example: `  tesd backup tesd-2026-11-24.backup
  tesd backup - | gzip > tesd.backup.gz
  tesd backup rescue.backup --stale --endpoints http://127.0.0.1:8002
  tesd backup rescue.backup --data-dir /var/lib/tesd`,
		Args: cobra.ExactArgs(1),
	}
	t = a.nodeTool(c)
	c.Flags().BoolVar(&stale, "stale", false, "take what one node has, which works without a majority")
	c.Flags().StringVar(&dir, "data-dir", "", "take what is in the data `dir` of a node that does not run")
	return a.command(c, func(ctx context.Context, args []string) error {
		take := func(w io.Writer) error { return t.backup(ctx, w, stale) }
		if dir != "" {
			if stale {
				return usagef("--stale is for nodes that run, and --data-dir for one that does not")
			}
			take = func(w io.Writer) error { return salvage(w, dir) }
		}
		if args[0] == "-" {
			return take(a.stdout)
		}
		info, err := writeBackup(args[0], take)
		if err != nil {
			return err
		}
		return a.print(t.format, info, func(p *page) { p.backup(info) })
	})
}

// backup has the cluster write its state to w.
func (t *tool) backup(ctx context.Context, w io.Writer, stale bool) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	var options []client.ReadOption
	if stale {
		options = append(options, client.Stale())
	}
	_, err = c.Backup(ctx, w, options...)
	return err
}

// salvage writes to w the state that lies in a data directory.
func salvage(w io.Writer, dir string) error {
	view, err := cluster.Salvage(dir, nil)
	if err != nil {
		return err
	}
	_, err = view.WriteTo(w)
	return err
}

// writeBackup makes a file of what take writes, if it can be restored from, and tells what
// is in it. The file comes into being as a whole or not at all.
func writeBackup(path string, take func(io.Writer) error) (_ backupInfo, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*") // readable by its owner only
	if err != nil {
		return backupInfo{}, fmt.Errorf("writing the backup: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = take(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return backupInfo{}, err
	}
	info, err := readBackup(f.Name())
	if err != nil {
		return backupInfo{}, fmt.Errorf("checking the backup: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return backupInfo{}, fmt.Errorf("writing the backup: %w", err)
	}
	info.File = path
	return info, nil
}

func readBackup(path string) (backupInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return backupInfo{}, err
	}
	defer f.Close()
	m, err := fsm.Restore(f)
	if err != nil {
		return backupInfo{}, err
	}
	return infoOf(m.View()), nil
}

func (a *app) restoreCommand() *cobra.Command {
	var (
		nodeID, dir, peers string
		format             format
	)
	c := &cobra.Command{
		Use:     "restore FILE [flags]",
		GroupID: groupServer,
		Short:   "Make a new cluster of a backup",
		Long: `Makes the data directory of one node, with the state of the backup in FILE, from which the
node begins a new cluster; "-" is standard input. It works offline, and on one node alone:
start that one with "tesd serve", and the other --peers with empty directories. They become
members by themselves, and the cluster serves once all of them have caught up.

The new cluster has an id of its own. Its registries go on where the backup was taken: with
the same revisions, receipts and idempotency keys. If the signing key was given from
outside, the nodes need the same one. A file that is damaged in any place is refused, and so
is a directory that is not empty.`,
		Example: `  tesd restore tesd.backup --node-id n1 --data-dir /var/lib/tesd \
    --peers n1=127.0.0.1:9001,n2=127.0.0.1:9002,n3=127.0.0.1:9003`,
		Args: cobra.ExactArgs(1),
	}
	addFormat(c, &format)
	c.Flags().StringVar(&nodeID, "node-id", "", "`id` of the node to restore on")
	c.Flags().StringVar(&dir, "data-dir", "", "the node's data `dir`, empty or not there yet")
	c.Flags().StringVar(&peers, "peers", "", "the `nodes` that the cluster is to have and their raft addresses, this one among them")
	return a.command(c, func(_ context.Context, args []string) error {
		if nodeID == "" || dir == "" || peers == "" {
			return usagef("--node-id, --data-dir and --peers are needed")
		}
		members, err := parsePeers(peers)
		if err != nil {
			return usagef("--peers: %v", err)
		}
		raw, err := a.readInput(args[0])
		if err != nil {
			return fmt.Errorf("reading the backup: %w", err)
		}
		view, err := cluster.RestoreDir(dir, nodeID, members, bytes.NewReader(raw), nil)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		info := infoOf(view)
		info.DataDir = dir
		return a.print(format, info, func(p *page) {
			p.backup(info)
			p.gap()
			p.line("Restored to %s. Now start node %s there, and the other peers with empty directories.", dir, nodeID)
		})
	})
}
