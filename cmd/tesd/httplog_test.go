package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// crowdedListener can accept no connection the first time.
type crowdedListener struct {
	net.Listener
	asked int
}

func (l *crowdedListener) Accept() (net.Conn, error) {
	if l.asked++; l.asked == 1 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return nil, errors.New("that is enough")
}

// TestWantOfFilesIsLogged has an operator told that a server can accept nobody, at the usual level,
// and not of what clients do.
func TestWantOfFilesIsLogged(t *testing.T) {
	var out bytes.Buffer
	l := newHTTPLog(hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Info}))
	l.Print("http: TLS handshake error from 127.0.0.1:1: EOF")
	if out.Len() > 0 {
		t.Errorf("it is logged what a client did: %s", out.String())
	}
	server := &http.Server{ErrorLog: l}
	if err := server.Serve(&crowdedListener{Listener: &net.TCPListener{}}); err == nil {
		t.Error("the server ended without an error")
	}
	if text := out.String(); !strings.Contains(text, "[WARN]") || !strings.Contains(text, "too many open files") {
		t.Errorf("it is not logged that no connection can be accepted: %q", text)
	}
}
