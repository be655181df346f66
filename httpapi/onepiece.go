package httpapi

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
)

// net/http sends an answer that is larger than its buffer of 4 KiB in two pieces: two system calls here, and
// two packets that wake the client twice. With a [Listener] below and [ConnContext] it leaves in one.
const (
	onePieceAbove = 3 << 10  // bytes of a body, from which on two pieces may come of it
	onePieceBelow = 64 << 10 // up to which to copy it costs less than a system call
)

// Listener returns a listener for the [http.Server] of a [Server]'s handler: its connections send answers of
// middling size in one piece. The server needs [ConnContext], too. Without both it serves the same, slower.
func Listener(l net.Listener) net.Listener { return pieceListener{l} }

// ConnContext tells a handler of its connection. It is for the field of that name of an [http.Server].
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, pieceKey{}, c)
}

type (
	pieceListener struct{ net.Listener }
	pieceKey      struct{}
)

// Accept waits for the next connection.
func (l pieceListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &pieceConn{Conn: c}, nil
}

// pieceConn is a connection that can hold back what is written to it. One goroutine writes.
type pieceConn struct {
	net.Conn
	held *bytes.Buffer // what is held back; nil unless it holds back
}

// Write sends b, or holds it back.
func (c *pieceConn) Write(b []byte) (int, error) {
	if c.held != nil {
		return c.held.Write(b)
	}
	return c.Conn.Write(b)
}

// CloseWrite ends the direction in which this side sends; net/http and an [outbox] look for it.
func (c *pieceConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetWriteBuffer wishes for a buffer of the system; an [outbox] looks for it.
func (c *pieceConn) SetWriteBuffer(size int) error {
	if conn, ok := c.Conn.(interface{ SetWriteBuffer(int) error }); ok {
		return conn.SetWriteBuffer(size)
	}
	return errors.ErrUnsupported
}

// writeBody writes the body of an answer whose length is in its headers.
func (c *call) writeBody(body []byte) {
	var conn *pieceConn
	if len(body) > onePieceAbove && len(body) <= onePieceBelow {
		conn, _ = c.r.Context().Value(pieceKey{}).(*pieceConn)
	}
	if conn == nil {
		c.w.Write(body) // if the caller is gone there is no one to tell
		return
	}
	conn.held = c.s.pieces.Get().(*bytes.Buffer)
	c.w.Write(body)
	http.NewResponseController(c.w).Flush()
	piece := conn.held
	conn.held = nil
	_, err := conn.Write(piece.Bytes())
	piece.Reset()
	c.s.pieces.Put(piece)
	if err != nil {
		panic(http.ErrAbortHandler) // net/http has not seen that it failed, and would go on with the next request
	}
}
