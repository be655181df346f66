package httpapi

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/tesd/tesd/client"
)

// subprotocol is what a WebSocket of tesd speaks.
const subprotocol = "tes-subproto-v1"

// openWebSocket upgrades a connection and serves it until it ends.
func (s *Server) openWebSocket(c *call) (*answer, error) {
	if err := c.checkUpgrade(); err != nil {
		return nil, err
	}
	w, err := c.parseWatch("")
	if err != nil {
		return nil, err
	}
	n := s.newSession(c, w)
	if err := s.connections.add(n); err != nil {
		return nil, err
	}
	defer s.connections.remove(n)
	view, gapErr := n.begin()
	if gapErr != nil && !isGap(gapErr) {
		return nil, gapErr
	}
	defer n.finish()
	if err := n.upgrade(); err != nil {
		return nil, err
	}
	s.log.Info("ws_open", "connectionId", n.id, "registryId", c.registry, "since", n.watch.since, "requestId", c.id)
	err = n.send(helloMessage{
		"hello", n.id, view.Cluster().ClusterID, c.registry, n.watch.since, s.nodeID, s.heartbeat.Milliseconds(), threadID, channel,
	})
	if err = cmp.Or(err, gapErr); err != nil {
		n.end(err)
		n.out.linger(time.Now().Add(closingTime))
		n.ws.Close()
	} else {
		n.run(s.connections.life)
	}
	return &answer{status: http.StatusSwitchingProtocols, hijacked: true}, nil
}

// isGap reports whether a watch cannot begin where it wants to.
func isGap(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && slices.Contains([]client.Code{client.CodeRevisionCompacted, client.CodeRevisionAhead, client.CodeClusterChanged}, f.code)
}

// checkUpgrade refuses what cannot become a WebSocket of tesd (RFC 6455, section 4.2.1).
func (c *call) checkUpgrade() error {
	bad := func(header, message string) error {
		return &failure{code: client.CodeInvalidRequest, message: message, details: []client.Detail{{Path: header, Message: message}}}
	}
	h := c.r.Header
	if offers := h.Values("Sec-WebSocket-Protocol"); len(offers) > 1 {
		h.Set("Sec-WebSocket-Protocol", strings.Join(offers, ", ")) // which is the same (section 11.3.4)
	}
	switch {
	case !isUpgrade(c.r):
		return bad("Upgrade", "the route takes WebSocket upgrades only")
	case !c.r.ProtoAtLeast(1, 1):
		return bad("Upgrade", "a WebSocket needs HTTP/1.1")
	case h.Get("Sec-WebSocket-Version") != "13":
		c.set("Sec-Websocket-Version", "13")
		return bad("Sec-WebSocket-Version", "must be 13")
	case !slices.Contains(websocket.Subprotocols(c.r), subprotocol):
		return bad("Sec-WebSocket-Protocol", "must offer "+subprotocol)
	}
	return nil
}

// isUpgrade reports whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && websocket.IsWebSocketUpgrade(r)
}

// upgrade makes a WebSocket of the connection. Compression is off: events are small, and
// would have to be compressed for each connection.
func (n *session) upgrade() error {
	var refused error
	u := websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second, Subprotocols: []string{subprotocol}, ReadBufferSize: 1024, WriteBufferSize: 1024,
		Error: func(_ http.ResponseWriter, _ *http.Request, status int, reason error) {
			code := client.CodeInvalidRequest
			if status == http.StatusForbidden {
				code = client.CodeForbidden
			}
			refused = &failure{code: code, message: reason.Error()}
		},
	}
	hijacker := &outboxHijacker{ResponseWriter: n.c.w}
	ws, err := u.Upgrade(hijacker, n.c.r, n.c.w.Header())
	if refused != nil {
		return refused
	} else if err != nil {
		return fmt.Errorf("upgrading a connection: %w", err)
	}
	n.ws, n.out = ws, hijacker.out
	n.c.scope = "WEBSOCKET"
	return nil
}

// outboxHijacker puts an outbox between a connection and the library that takes it over.
type outboxHijacker struct {
	http.ResponseWriter
	out *outbox
}

// Hijack takes over the connection.
func (h *outboxHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.out = newOutbox(conn)
	return h.out, buffers, nil
}
