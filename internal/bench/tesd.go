package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/tesd/tesd/client"
)

// entityID is the entity that the writer bumps.
const entityID = "global:main"

// wideID is an entity that many others are linked to.
const wideID = "component:wide"

// spreadID is one of the entities over which a load is spread.
func spreadID(i int) string { return fmt.Sprintf("component:c%05d", i) }

// tesd returns the system that is measured, built from the source around it.
func tesd(ctx context.Context, root, dir string) (*system, error) {
	binary := filepath.Join(dir, "tesd")
	build := exec.CommandContext(ctx, "go", "build", "-C", root, "-buildvcs=false", "-o", binary, "./cmd/tesd")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building tesd: %w\n%s", err, out)
	}
	// A copy of the source without its history is measured too, but cannot be named.
	version := "unknown"
	if out, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	return &system{"tesd", version, func(ctx context.Context, dir string, o nodeOptions) (*cluster, error) {
		return startTesd(ctx, binary, dir, o)
	}}, nil
}

func startTesd(ctx context.Context, binary, dir string, o nodeOptions) (*cluster, error) {
	c, err := launch(ctx, "tesd", dir, o, func(dir string, ports []string) ([]*node, error) {
		return tesdNodes(binary, dir, ports, o)
	}, tesdLeader)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*cluster, error) {
		c.stop()
		return nil, err
	}
	api, err := client.New([]string{c.nodes[0].url})
	if err != nil {
		return fail(err)
	}
	entities := []client.Entity{{ID: entityID, Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: "Main"}}
	for i := range o.entities {
		entities = append(entities, client.Entity{
			ID: spreadID(i), Type: "component", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: fmt.Sprintf("Component %d", i),
			Files: []client.File{{Path: fmt.Sprintf("src/c%d/version.ts", i), Pattern: `VERSION = "(.*)"`, Replacement: `VERSION = "$1"`, Description: "what it prints"}},
		})
	}
	if o.linked > 0 {
		entities = append(entities, client.Entity{ID: wideID, Type: "component", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: "Wide"})
	}
	for i := range o.linked {
		entities = append(entities, client.Entity{
			ID: fmt.Sprintf("%s/%05d", wideID, i), Type: "component", CurrentVersion: "1.0.0", UpdateStrategy: "linked-to-parent",
			ParentVersionID: wideID, DisplayName: fmt.Sprintf("Part %d", i),
		})
	}
	_, err = api.Migrate(ctx, client.MigrateRequest{Source: "bench", Entities: entities})
	if err != nil {
		return fail(fmt.Errorf("writing the registry: %w", err))
	}
	c.current = func(ctx context.Context) (int64, error) {
		r, err := api.Registry(ctx, client.RegistryOptions{})
		if err != nil {
			return 0, fmt.Errorf("reading the revision: %w", err)
		}
		return int64(r.Revision), nil
	}
	c.watch = func(ctx context.Context, count, _ int, base int64, room int) ([]*watcher, error) {
		return openAll(ctx, count, func(ctx context.Context, i int) (*watcher, error) {
			return watchTesd(ctx, c.nodes[0].url, i, base, room)
		})
	}
	c.stall = func(ctx context.Context, count int) (func(), error) { return stallTesd(ctx, c.nodes[0].url, count) }
	return c, nil
}

// stallTesd opens watchers who read nothing but the head of the answer. What they are sent soon finds
// no room.
func stallTesd(ctx context.Context, url string, count int) (end func(), err error) {
	var conns []net.Conn
	end = func() {
		for _, c := range conns {
			c.Close()
		}
	}
	for i := range count {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: sourceAddress(i)}}
		conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			end()
			return nil, fmt.Errorf("connecting slow watcher %d: %w", i, err)
		}
		conns = append(conns, conn)
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			end()
			return nil, fmt.Errorf("narrowing slow watcher %d: %w", i, err)
		}
		const head = "GET /version/ws?receipts=true HTTP/1.1\r\nHost: tesd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tes-subproto-v1\r\n\r\n"
		if _, err := io.WriteString(conn, head); err != nil {
			end()
			return nil, fmt.Errorf("upgrading slow watcher %d: %w", i, err)
		}
		if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 101"))); err != nil {
			end()
			return nil, fmt.Errorf("upgrading slow watcher %d: %w", i, err)
		}
	}
	return end, nil
}

func tesdNodes(binary, dir string, ports []string, o nodeOptions) ([]*node, error) {
	var nodes []*node
	var peers []string
	for i := range 3 {
		peers = append(peers, fmt.Sprintf("n%d=%s", i+1, ports[3+i]))
	}
	for i := range 3 {
		id := fmt.Sprintf("n%d", i+1)
		p, err := startProcess(id, dir, binary, "serve", "--node-id", id, "--data-dir", filepath.Join(dir, id),
			"--http", ports[i], "--raft", ports[3+i], "--peers", strings.Join(peers, ","),
			"--max-websocket-connections", strconv.Itoa(max(o.watchers, 100)))
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, &node{p, id, "http://" + ports[i]})
	}
	return nodes, nil
}

// tesdLeader finds the leader once all nodes are ready.
func tesdLeader(ctx context.Context, nodes []*node) (int, error) {
	leader := -1
	for i, n := range nodes {
		one, err := client.New([]string{n.url})
		if err != nil {
			return 0, err
		}
		if _, err := one.Ready(ctx); err != nil {
			return 0, err
		}
		h, err := one.Health(ctx)
		if err != nil {
			return 0, err
		}
		if h.Role == "leader" {
			leader = i
		}
	}
	if leader < 0 {
		return 0, errors.New("no node leads")
	}
	return leader, nil
}

// watchersPerAddress is how many connections leave one address of this machine: less than
// there are ports for connections to one address and port.
const watchersPerAddress = 20_000

// sourceAddress is the address of this machine that watcher i connects from. Those of
// another run of this program are others, so that ports that were just used, and cannot be
// again for a minute, are in nobody's way.
func sourceAddress(i int) net.IP {
	return net.IPv4(127, 0, byte(1+os.Getpid()%250), byte(1+i/watchersPerAddress))
}

// watchTesd opens watcher i, on a connection of its own.
func watchTesd(ctx context.Context, url string, i int, base int64, room int) (*watcher, error) {
	d := websocket.Dialer{
		Subprotocols: []string{"tes-subproto-v1"}, HandshakeTimeout: 30 * time.Second,
		ReadBufferSize: 2048, WriteBufferSize: 256,
		NetDialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: sourceAddress(i)}}).DialContext,
	}
	ws, resp, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(url, "http")+"/version/ws", nil)
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%w (%s)", err, resp.Status)
		}
		return nil, fmt.Errorf("connecting watcher %d: %w", i, err)
	}
	return follow(ctx, ws, base, room)
}

// follow has a watcher read from a WebSocket that is open, behind revision base.
func follow(ctx context.Context, ws *websocket.Conn, base int64, room int) (*watcher, error) {
	w := newWatcher(base, room)
	if err := readHello(ws, base); err != nil {
		ws.Close()
		return nil, err
	}
	ended, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.cancel = func() {
		cancel()
		ws.Close()
	}
	go w.run(ended, func() error { return readEvents(ws, w) })
	return w, nil
}

// readHello reads the first message, which says behind which revision the events begin.
func readHello(ws *websocket.Conn, base int64) error {
	var hello struct {
		Type     string
		Revision int64
	}
	if err := ws.ReadJSON(&hello); err != nil {
		return fmt.Errorf("reading the first message: %w", err)
	}
	if hello.Type != "hello" || hello.Revision != base {
		return fmt.Errorf("the first message is %s at revision %d, not hello at %d", hello.Type, hello.Revision, base)
	}
	return nil
}

// readEvents reads messages into one buffer for as long as they are what is due.
func readEvents(ws *websocket.Conn, w *watcher) error {
	clock := newClock()
	var message bytes.Buffer
	for {
		_, r, err := ws.NextReader()
		if err != nil {
			return fmt.Errorf("waiting for a message: %w", err)
		}
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return fmt.Errorf("reading a message: %w", err)
		}
		now := clock.now()
		m, err := parseMessage(message.Bytes())
		if err != nil {
			return err
		}
		switch m.Type {
		case "event":
			err = w.receive(m.Revision, now)
		case "ping":
			err = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"pong"}`))
		default:
			err = fmt.Errorf("a message came that nobody waits for: %.200s", message.Bytes())
		}
		if err != nil {
			return err
		}
	}
}

// A wsMessage is what a watcher needs to know of a message.
type wsMessage struct {
	Type     string
	Revision int64
}

// parseMessage reads a message. For an event, which is nearly every one, it reads only as far
// as the revision, if that stands where tesd writes it; others are decoded in full.
func parseMessage(text []byte) (wsMessage, error) {
	if rest, ok := bytes.CutPrefix(text, []byte(`{"type":"event","revision":`)); ok && bytes.HasSuffix(rest, []byte("}")) {
		n, digits := int64(0), 0
		for ; digits < len(rest) && digits < 18 && rest[digits]-'0' <= 9; digits++ {
			n = n*10 + int64(rest[digits]-'0')
		}
		if digits > 0 && (rest[digits] == ',' || rest[digits] == '}') {
			return wsMessage{"event", n}, nil
		}
	}
	var m wsMessage
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("decoding a message: %w", err)
	}
	return m, nil
}

// tesdBumper returns what sends one bump to the node at url and returns its revision.
func tesdBumper(url string, workers int) func(context.Context) (int64, error) {
	h := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	body := bumping(entityID)
	return func(ctx context.Context) (int64, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/version/bump", bytes.NewReader(body))
		if err != nil {
			return 0, fmt.Errorf("making a request: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := h.Do(req)
		if err != nil {
			return 0, fmt.Errorf("bumping: %w", err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return 0, fmt.Errorf("reading the answer to a bump: %w", err)
		}
		var answer struct{ Revision int64 }
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("bumping: %s: %.200s", resp.Status, text)
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return 0, fmt.Errorf("reading the answer to a bump: %w", err)
		}
		return answer.Revision, nil
	}
}
