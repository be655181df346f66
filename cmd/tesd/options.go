package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// options are the settings of a node, checked and in types.
type options struct {
	nodeID, registryID string
	dataDir            string
	http, raft         string
	peers              []cluster.Peer
	registryFile       string // "" for none
	historyKeep        uint64
	signingKey         []byte // nil for none
	cacheTTL           time.Duration
	alarmTimeout       time.Duration
	electionTimeout    time.Duration // 0 for the default
	maxWebSockets      int
	logJSON            bool
	logLevel           hclog.Level
	exposed            bool // an address is not loopback, and that was allowed
}

// A lookup finds the addresses of a host name.
type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// lookupHost asks the system.
func lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// parseOptions checks the settings. Its error has all faults at once.
func parseOptions(ctx context.Context, values map[string]value, getenv func(string) string, find lookup) (options, error) {
	p := parser{values: values}
	for _, s := range settings() {
		if s.required && values[s.name].text == "" {
			p.faults = append(p.faults, fmt.Errorf("--%s is required (or %s)", s.name, s.envName()))
		}
	}
	o := options{
		nodeID: p.text("node-id"), registryID: p.text("registry-id"), dataDir: p.text("data-dir"),
		http: p.text("http"), raft: p.text("raft"), registryFile: p.text("registry-file"),
		historyKeep:     parse(&p, "history-keep", wholeNumber(64)),
		cacheTTL:        parse(&p, "cache-ttl", positiveDuration),
		alarmTimeout:    parse(&p, "alarm-timeout", positiveDuration),
		electionTimeout: parse(&p, "election-timeout", electionTimeout),
		maxWebSockets:   int(parse(&p, "max-websocket-connections", wholeNumber(31))),
		logJSON:         parse(&p, "log-format", logFormat),
		logLevel:        parse(&p, "log-level", logLevel),
		peers:           parse(&p, "peers", parsePeers),
	}
	if key := getenv(p.text("signing-key-env")); key != "" {
		o.signingKey = []byte(key)
	}
	insecure := parse(&p, "insecure", trueOrFalse)
	for _, name := range []string{"http", "raft"} {
		local, err := isLoopback(ctx, p.text(name), find)
		switch {
		case err != nil:
			p.fault(name, err)
		case !local && !insecure:
			p.fault(name, errors.New("not a loopback address: it would be open to the network without TLS and access control; --insecure allows that"))
		case !local:
			o.exposed = true
		}
	}
	if o.http != "" && o.http == o.raft && !strings.HasSuffix(o.http, ":0") {
		p.fault("raft", errors.New("that is the address of --http, too"))
	}
	p.checkMembership(o)
	return o, errors.Join(p.faults...)
}

// checkMembership lets the cluster package judge what belongs together, once the parts
// are known to be there.
func (p *parser) checkMembership(o options) {
	if o.nodeID == "" || o.peers == nil {
		if o.nodeID != "" {
			p.check("node-id", cluster.CheckNodeID(o.nodeID))
		}
		p.check("registry-id", fsm.CheckRegistryID(o.registryID))
		return
	}
	cfg := cluster.Config{
		NodeID: o.nodeID, RaftAddress: o.raft, RegistryID: o.registryID, Peers: o.peers,
		Storage: &cluster.Storage{}, // it is opened when everything else is right
	}
	if err := cfg.Validate(); err != nil {
		p.faults = append(p.faults, err)
	}
}

// parser reads the values of settings and notes what is wrong with them.
type parser struct {
	values map[string]value
	faults []error
}

func (p *parser) text(name string) string { return p.values[name].text }

// fault notes what is wrong with a setting, and where its value came from.
func (p *parser) fault(name string, err error) {
	v := p.values[name]
	p.faults = append(p.faults, fmt.Errorf("--%s %q (%s): %w", name, v.text, v.origin, err))
}

// check notes a fault if there is one.
func (p *parser) check(name string, err error) {
	if err != nil {
		p.fault(name, err)
	}
}

// parse reads the value of a setting. One that is missing is not read: if it is required
// that was noted.
func parse[T any](p *parser, name string, read func(string) (T, error)) T {
	text := p.text(name)
	if text == "" {
		return *new(T)
	}
	v, err := read(text)
	if err != nil {
		p.fault(name, err)
	}
	return v
}

func wholeNumber(bits int) func(string) (uint64, error) {
	return func(s string) (uint64, error) {
		n, err := strconv.ParseUint(s, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("not a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-bits))
		}
		return n, nil
	}
}

func trueOrFalse(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, errors.New("not true or false")
	}
	return b, nil
}

func positiveDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, errors.New("not a duration such as 90s or 5m")
	case d <= 0:
		return 0, errors.New("not above zero")
	}
	return d, nil
}

func electionTimeout(s string) (time.Duration, error) {
	d, err := positiveDuration(s)
	if err == nil && (d < 100*time.Millisecond || d > time.Minute) {
		return 0, errors.New("not from 100ms to 1m")
	}
	return d, err
}

func logFormat(s string) (asJSON bool, err error) {
	if s != "json" && s != "text" {
		return false, errors.New("neither json nor text")
	}
	return s == "json", nil
}

func logLevel(s string) (hclog.Level, error) {
	if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, s) {
		return 0, errors.New("not trace, debug, info, warn or error")
	}
	return hclog.LevelFromString(s), nil
}

// parsePeers reads n1=host:port,n2=host:port.
func parsePeers(s string) ([]cluster.Peer, error) {
	var peers []cluster.Peer
	for part := range strings.SplitSeq(s, ",") {
		id, address, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || id == "" || address == "" {
			return nil, fmt.Errorf("%q is not id=host:port", part)
		}
		peers = append(peers, cluster.Peer{ID: id, Address: address})
	}
	return peers, nil
}

// isLoopback reports whether a listener on address can be reached from this machine only.
// A name must stand for loopback addresses and nothing else; no host means all interfaces.
func isLoopback(ctx context.Context, address string, find lookup) (bool, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, errors.New("not host:port")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false, errors.New("the port is not a number up to 65535")
	}
	if host == "" {
		return false, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := find(ctx, host)
	if err != nil {
		return false, fmt.Errorf("looking up the host: %w", err)
	}
	other := func(ip netip.Addr) bool { return !ip.Unmap().IsLoopback() }
	return len(found) > 0 && !slices.ContainsFunc(found, other), nil
}
