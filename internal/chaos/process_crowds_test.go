package chaos_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/tesd/tesd/internal/e2e"
)

// crowded lets a process open no further file and no connection, for a while. What proves that
// it bit is a user who comes meanwhile: the system connects it, and nobody answers until files can be
// opened again.
func (o *ordeal) crowded(n *e2e.Node) (bit bool, err error) {
	p := o.Process(n)
	p.MayFail()
	was, err := prlimit(p, "--nofile", "--raw", "--noheadings", "--output=SOFT")
	if err != nil {
		return false, err
	}
	if _, err := prlimit(p, "--nofile=3:"); err != nil { // any number below is taken
		return false, err
	}
	answers := o.knock(n)
	silent := false
	select {
	case <-answers:
	case <-time.After(400 * time.Millisecond):
		silent = true
	}
	if _, err = prlimit(p, "--nofile="+was+":"); p.Ended() { // for a file of its disk
		if code := p.Code(); code != e2e.DiskFailed {
			return false, fmt.Errorf("%s ended with exit code %d, not %d", n.ID, code, e2e.DiskFailed)
		}
		return true, nil
	}
	if err != nil || !silent {
		return false, err
	}
	select {
	case answered := <-answers:
		return answered, nil
	case <-p.Exited():
		return p.Code() == e2e.DiskFailed, nil
	}
}

// prlimit changes a limit of a process, or says what it is.
func prlimit(p *e2e.Process, args ...string) (string, error) {
	out, err := exec.Command("prlimit", append([]string{"--pid", strconv.Itoa(p.PID())}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("prlimit: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// knock asks a node over a connection of its own whether it lives, and tells in the end whether it
// was answered within some seconds.
func (o *ordeal) knock(n *e2e.Node) <-chan bool {
	answered := make(chan bool, 1)
	go func() {
		ctx, cancel := context.WithTimeout(o.t.Context(), time.Second)
		defer cancel()
		conn, err := o.Dial(ctx, "tcp", n.HTTP)
		if err != nil {
			answered <- false
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", n.HTTP)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			resp.Body.Close()
		}
		answered <- err == nil && resp.StatusCode == http.StatusOK
	}()
	return answered
}
