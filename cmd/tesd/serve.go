package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

func (a *app) serveCommand() *cobra.Command {
	var show bool
	c := &cobra.Command{
		Use:     "serve [flags]",
		GroupID: groupServer,
		Short:   "Run one node of a cluster",
		Long: `Runs one node of a cluster until it gets SIGINT or SIGTERM; a second signal ends it at
once. All nodes are started with the same --peers. The cluster is founded when all of them
are up, and from then on works as long as more than half of them do.

Every flag is also an environment variable, TESD_ and its name in capitals, and a key of
the configuration file. A flag comes before the environment, the environment before the
file, and the file before the default; what is empty counts as not given.

The signing key is the value of the environment variable that --signing-key-env names, the
same on every node. Without one the first leader makes one, which then lies in the data of
every node.

SIGUSR1 makes the log tell everything down to debug; SIGUSR2 takes it back to --log-level.

On loopback there is no access control: whoever can run a program on the machine can change
the registry. Other addresses are refused unless --insecure is given.`,
		Example: `  tesd serve --node-id n1 --data-dir /var/lib/tesd --http 127.0.0.1:8001 --raft 127.0.0.1:9001 \
    --peers n1=127.0.0.1:9001,n2=127.0.0.1:9002,n3=127.0.0.1:9003 --registry-file registry.json
  tesd serve --config /etc/tesd.json --print-config`,
		Args: cobra.NoArgs,
	}
	addSettings(c.Flags())
	c.Flags().BoolVar(&show, "print-config", false, "print each setting, its value and where that comes from, and end")
	return a.command(c, func(ctx context.Context, _ []string) error {
		values, err := resolve(c.Flags(), a.getenv)
		if show {
			if err := a.print(formatTable, nil, func(p *page) { p.printConfig(values) }); err != nil {
				return err
			}
		}
		o, faults := parseOptions(ctx, values, a.getenv, lookupHost)
		if text := faultText(err, faults); text != "" {
			return usagef("%s", text)
		}
		if show {
			return nil
		}
		return a.serve(ctx, o)
	})
}

// faultText is all that is wrong with a configuration, a fault a line; "" for nothing.
func faultText(errs ...error) string {
	var lines []string
	for _, err := range errs {
		if err != nil {
			lines = append(lines, strings.Split(err.Error(), "\n")...)
		}
	}
	if len(lines) < 2 {
		return strings.Join(lines, "")
	}
	return "the configuration has " + count(len(lines), "fault", "faults") + ":\n  " + strings.Join(lines, "\n  ")
}

// gcPercent is how much garbage, in percent of what is alive, a node lets gather before it is collected, if
// GOGC does not say it. The state is small beside what each request leaves behind: with Go's own 100 the
// collector took a tenth of the time of a leader under load.
const gcPercent = 400

// serve runs a node until ctx ends.
func (a *app) serve(ctx context.Context, o options) error {
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return a.logged(o.logJSON, o.logLevel, func(log hclog.Logger) error {
		defer watchLogLevel(log, o.logLevel)()
		warnings(log, o)
		m, err := openMember(o, fileSeed(o.registryFile), log)
		if err != nil {
			return err
		}
		if err := tellRaftMetrics(m.api.Metrics()); err != nil {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			return errors.Join(err, m.run(ended)) // which closes what it has opened
		}
		log.Info("serving", "node", o.nodeID, "http", m.listener.Addr().String(), "raft", o.raft, "dataDir", o.dataDir)
		return m.run(ctx)
	})
}

// logged calls do with a logger to standard error, and returns when all it logged is
// written.
func (a *app) logged(asJSON bool, level hclog.Level, do func(hclog.Logger) error) error {
	buffer := newLogBuffer(a.stderr, logBufferSize)
	log := hclog.New(&hclog.LoggerOptions{Name: "tesd", Level: level, Output: buffer})
	if asJSON {
		log = newJSONLog("tesd", level, buffer)
	}
	ctx, end := context.WithCancel(context.Background())
	var flusher sync.WaitGroup
	flusher.Go(func() {
		buffer.run(ctx, func(lost int) {
			log.Warn("log lines were lost: the log is written faster than it is read", "lines", lost)
		})
	})
	defer flusher.Wait()
	defer end()
	return do(log)
}

// warnings tells what whoever runs the node should know about its safety.
func warnings(log hclog.Logger, o options) {
	if o.exposed {
		log.Warn("anyone who can reach this node's ports can read and change the registry: it serves without TLS and access control, as --insecure allows",
			"http", o.http, "raft", o.raft)
	} else {
		log.Warn("there is no access control: any program on this machine can read and change the registry", "http", o.http)
	}
	const wanted = 32 // bytes, as many as the hash has
	switch n := len(o.signingKey); {
	case n == 0:
		log.Warn("no signing key is given: the cluster makes one, which lies in the data of every node, readable by its owner only")
	case n < wanted:
		log.Warn("the signing key is short", "bytes", n, "recommended", wanted, "keyId", client.KeyID(o.signingKey))
	default:
		log.Info("the signing key is given", "keyId", client.KeyID(o.signingKey))
	}
}

// fileSeed returns what reads the registry that an empty cluster starts with; nil without
// a file. The file is opened only if and when the cluster is empty.
func fileSeed(path string) func() (fsm.Migrate, error) {
	if path == "" {
		return nil
	}
	return func() (fsm.Migrate, error) {
		raw, err := os.ReadFile(path)
		if err != nil {
			return fsm.Migrate{}, fmt.Errorf("reading the registry file: %w", err)
		}
		m, err := readMigrate(raw, sourceOf(path))
		if err != nil {
			return fsm.Migrate{}, fmt.Errorf("%s: %w", path, err)
		}
		return m, nil
	}
}
