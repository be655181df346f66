package main

import (
	"log"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// httpLog takes what the HTTP server has to say, which mostly is about what clients do to their
// connections, and matters to nobody else. That it can accept none, for want of open files say,
// does: nothing else would tell.
type httpLog struct{ log hclog.Logger }

// newHTTPLog returns what an [http.Server] takes for its ErrorLog.
func newHTTPLog(l hclog.Logger) *log.Logger { return log.New(httpLog{l}, "", 0) }

// Write takes one line. The server says this one at most 200 times a second, and soon once.
func (l httpLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if why, ok := strings.CutPrefix(text, "http: Accept error: "); ok {
		l.log.Warn("accept_failed", "error", why)
	} else {
		l.log.Debug(text)
	}
	return len(line), nil
}
