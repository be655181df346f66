package httpapi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/tesd/tesd/httpapi"
)

// counting is a listener that counts what its connections are given to send, and has that fail on demand.
type counting struct {
	net.Listener
	writes, closed atomic.Int64
	broken         atomic.Bool
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{c, l}, err
}

type countingConn struct {
	net.Conn
	l *counting
}

func (c *countingConn) Write(b []byte) (int, error) {
	if c.l.broken.Load() {
		return 0, errors.New("the connection is broken")
	}
	c.l.writes.Add(1)
	return c.Conn.Write(b)
}

func (c *countingConn) Close() error {
	c.l.closed.Add(1)
	return c.Conn.Close()
}

// TestAnswersInOnePiece reads registries of several sizes on one connection.
func TestAnswersInOnePiece(t *testing.T) {
	for _, entities := range []int{1, 10, 15, 41, 150, 600} {
		t.Run(fmt.Sprint(entities), func(t *testing.T) {
			h := startEmpty(t, newFakeNode(0))
			h.migrate("", components(entities))
			plain := httptest.NewRecorder()
			h.server.Handler().ServeHTTP(plain, httptest.NewRequest("GET", "/version/registry", nil))
			want := plain.Body.String()
			l, conn := serveInOnePiece(t, h.server)
			r := bufio.NewReader(conn)
			for _, method := range []string{"GET", "HEAD", "GET"} {
				before := l.writes.Load()
				resp, body := ask(t, conn, r, method)
				if method == "GET" && body != want || method == "HEAD" && body != "" {
					t.Fatalf("%s: a body of %d bytes, want the %d that a handler writes", method, len(body), len(want))
				}
				if resp.ContentLength != int64(len(want)) || len(resp.TransferEncoding) > 0 {
					t.Errorf("%s: length %d, encodings %v, want %d and none", method, resp.ContentLength, resp.TransferEncoding, len(want))
				}
				if n := l.writes.Load() - before; n != 1 && len(want) < 60<<10 {
					t.Errorf("%s: an answer of %d bytes took %d writes", method, len(body), n)
				}
			}
		})
	}
}

// TestBrokenInOnePiece: what could not be sent ends the connection, and a request behind it is not carried out.
func TestBrokenInOnePiece(t *testing.T) {
	h := startEmpty(t, newFakeNode(0))
	h.migrate("", components(41))
	l, conn := serveInOnePiece(t, h.server)
	r := bufio.NewReader(conn)
	ask(t, conn, r, "GET")
	l.broken.Store(true)
	const bump = `{"scope":"patch","entityId":"component:c0"}`
	fmt.Fprintf(conn, "GET /version/registry HTTP/1.1\r\nHost: x\r\n\r\nPOST /version/bump HTTP/1.1\r\nHost: x\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(bump), bump)
	if b, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("read %q, %v after an answer that could not be sent, want the end", b, err)
	}
	if l.closed.Load() == 0 {
		t.Error("the connection is still open")
	}
	if r, _ := h.node.View().Registry(defaultRegistry); r.Revision() != 1 {
		t.Errorf("the registry is at revision %d: the bump behind the answer was carried out", r.Revision())
	}
}

// serveInOnePiece serves as a node does, and returns a connection to it.
func serveInOnePiece(t *testing.T, s *httpapi.Server) (*counting, net.Conn) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &counting{Listener: tcp}
	web := &http.Server{Handler: s.Handler(), ConnContext: httpapi.ConnContext}
	done := make(chan struct{})
	go func() {
		defer close(done)
		web.Serve(httpapi.Listener(l))
	}()
	t.Cleanup(func() {
		web.Close()
		<-done
	})
	conn, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return l, conn
}

func ask(t *testing.T, conn net.Conn, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "%s /version/registry HTTP/1.1\r\nHost: x\r\n\r\n", method); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
