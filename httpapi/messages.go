package httpapi

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
)

// Messages to a caller. Each has a type.
type (
	helloMessage struct {
		Type         string `json:"type"`
		ConnectionID string `json:"connectionId"`
		ClusterID    string `json:"clusterId"`
		RegistryID   string `json:"registryId"`
		Revision     uint64 `json:"revision"` // behind which the events begin
		Node         string `json:"node"`
		HeartbeatMS  int64  `json:"heartbeatMs"`
		ThreadID     string `json:"threadId"`
		Channel      string `json:"channel"`
	}
	bookmarkMessage struct {
		Type     string `json:"type"`
		Revision uint64 `json:"revision"` // everything up to it was written
	}
	pingMessage struct {
		Type      string `json:"type"`
		Timestamp int64  `json:"timestamp"`
	}
	gapMessage struct {
		Type           string           `json:"type"`
		Status         string           `json:"status"`
		Code           client.Code      `json:"code"`
		OldestRevision uint64           `json:"oldestRevision,omitzero"`
		Error          client.ErrorBody `json:"error"`
	}
	errorMessage struct {
		Type      string           `json:"type"`
		RequestID string           `json:"requestId,omitzero"`
		Status    string           `json:"status"`
		Error     client.ErrorBody `json:"error"`
	}
	pongMessage struct {
		Type string `json:"type"`
	}
	bumpResponseMessage struct {
		Type      string         `json:"type"`
		RequestID string         `json:"requestId,omitzero"`
		Status    string         `json:"status"`
		Data      jsontext.Value `json:"data"`
	}
	refreshResponseMessage struct {
		Type      string         `json:"type"`
		Entities  jsontext.Value `json:"entities"`
		Revision  uint64         `json:"revision"`
		Lifecycle string         `json:"lifecycle"`
		HSL       string         `json:"hsl"`
		ThreadID  string         `json:"threadId"`
		Channel   string         `json:"channel"`
	}
)

// channel is how the surrounding system names what a WebSocket carries.
const channel = "COMMAND_CHANNEL"

// answer does what a message of the caller asks for. It returns an error when the session
// must end.
func (n *session) answer(text []byte) error {
	var f intake.Faults
	m := intake.ReadMessage(text, &f)
	err := faulty(&f)
	if err == nil {
		switch m.Type {
		case "ping":
			return n.send(pongMessage{"pong"})
		case "pong":
			return nil
		case "refresh":
			err = n.refresh()
		case "bump":
			return n.bump(&m)
		}
	} else if n.bad++; n.bad >= maxBad {
		n.sendError(m.RequestID, err)
		return broken(websocket.ClosePolicyViolation, "too many messages that cannot be used")
	}
	if err != nil {
		return n.sendError(m.RequestID, err)
	}
	return nil
}

func (n *session) sendError(requestID string, err error) error {
	return n.send(errorMessage{"error", requestID, "ERROR", n.c.errorBody(err)})
}

// refresh answers the whole registry, linearizably. It may be ahead of the events.
func (n *session) refresh() error {
	view, err := n.c.read(cluster.ReadOptions{Mode: cluster.Linearizable})
	if err != nil {
		return err
	}
	r, ok := view.Registry(n.c.registry)
	if !ok {
		return unknownRegistry(n.c.registry)
	}
	return n.send(refreshResponseMessage{
		"refresh_response", n.s.encodings.entities(r), r.Revision(), n.s.lifecycle(r), hslSuccess, threadID, channel,
	})
}

// bump goes the way that a bump over HTTP goes.
func (n *session) bump(m *intake.Message) error {
	c := &call{s: n.s, w: noAnswer{}, r: n.c.r, id: n.s.newRequestID(), registry: n.c.registry, scope: "WEBSOCKET", name: "bump", entityID: m.Bump.EntityID}
	cmd := fsm.Command{Registry: c.registry, Actor: anonymous, Key: m.Key, Op: m.Bump}
	var f intake.Faults
	for _, p := range cmd.Check() {
		f.Add(p.Path, "%s", p.Message)
	}
	err := faulty(&f)
	var o outcome
	if err == nil {
		o, err = c.raise(cmd, m.DryRun, n.s.now())
	}
	if err != nil {
		return n.send(errorMessage{"error", m.RequestID, "ERROR", c.errorBody(err)})
	}
	return n.send(bumpResponseMessage{"bump_response", m.RequestID, "BUMPED", o.appendBump(nil)})
}

// noAnswer takes headers where there is no answer of HTTP.
type noAnswer http.Header

func (h noAnswer) Header() http.Header     { return http.Header(h) }
func (noAnswer) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (noAnswer) WriteHeader(int)           {}
