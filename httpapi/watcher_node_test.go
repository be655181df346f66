package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWatcherOfAnotherMake has a WebSocket client watch that shares no code with tesd, or
// with the library that both ends of the other tests use: that of Node.
func TestWatcherOfAnotherMake(t *testing.T) {
	command := nodeWithWebSocket(t)
	h := start(t)
	h.bump(1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	watcher := exec.CommandContext(ctx, command[0], append(command[1:], "testdata/watcher.mjs", h.url)...)
	watcher.Env = append(os.Environ(), nodePath)
	var faults bytes.Buffer
	watcher.Stderr = &faults
	out, err := watcher.Output()
	if err != nil {
		t.Fatalf("the watcher failed: %v\n%s%s", err, out, faults.Bytes())
	}
	var got []message
	for line := range bytes.Lines(out) {
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("the watcher printed %q", line)
		}
		got = append(got, m.brief())
	}
	want := []message{
		{"protocol": "tes-subproto-v1"},
		{"type": "hello", "revision": 0.0},
		{"type": "event", "revision": 1.0, "kind": "migrate"},
		{"type": "event", "revision": 2.0, "kind": "bump"},
		{"type": "pong"},
		{"type": "refresh_response", "revision": 2.0},
		{"type": "error", "code": "INVALID_REQUEST"},
		{"type": "bump_response", "requestId": "é", "status": "BUMPED"},
		{"type": "event", "revision": 3.0, "kind": "bump"},
		{"closed": 1003.0, "reason": "a message must be text"},
		{"failed": true},
		{"failed": true},
		{"closed": 1000.0, "reason": ""},
	}
	// Answers and events are two streams, each in order: they are compared one after the other.
	if diff := cmp.Diff(parted(want), parted(got)); diff != "" {
		t.Errorf("what the watcher saw (-want +got):\n%s\n%s", diff, out)
	}
}

// brief is the message without what is of no matter to the test.
func (m message) brief() message {
	b := message{}
	for _, name := range []string{"protocol", "type", "revision", "kind", "requestId", "closed", "reason", "failed"} {
		if v, ok := m[name]; ok {
			b[name] = v
		}
	}
	switch m.kind() {
	case "error":
		b["code"] = m["error"].(map[string]any)["code"]
	case "bump_response":
		b["status"] = m["status"]
	}
	return b
}

func parted(all []message) (parts [2][]message) {
	for _, m := range all {
		i := 0
		if m.kind() == "event" {
			i = 1
		}
		parts[i] = append(parts[i], m)
	}
	return parts
}

// nodePath is where Debian keeps the modules that its packages bring.
const nodePath = "NODE_PATH=/usr/share/nodejs"

// nodeWithWebSocket returns the command line of a Node that has WebSockets: of its own, or in
// the package ws.
func nodeWithWebSocket(t *testing.T) []string {
	for _, command := range [][]string{{"node"}, {"node", "--experimental-websocket"}} {
		probe := exec.Command(command[0], append(command[1:], "-e", `globalThis.WebSocket ?? require("ws")`)...)
		probe.Env = append(os.Environ(), nodePath)
		if probe.Run() == nil {
			return command
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no Node with WebSockets: .ci/run should have installed one")
	}
	t.Skip("there is no Node with WebSockets; Debian has one in its packages nodejs and node-ws")
	return nil
}
