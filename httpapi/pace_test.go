package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/httpapi"
	"github.com/tesd/tesd/internal/memnet"
)

// TestStalledBody sends the beginning of a body and then nothing: the caller is answered
// when its time is up, and one that is slow but in time gets what it wants.
func TestStalledBody(t *testing.T) {
	for name, c := range map[string]struct {
		rest   time.Duration // after which the rest comes
		status int
		after  time.Duration
	}{
		"slow":    {9 * time.Second, 200, 9 * time.Second},
		"stalled": {time.Hour, 400, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node := newFakeNode(0)
				s, err := httpapi.New(httpapi.Config{Node: node, DefaultRegistry: defaultRegistry, AlarmTimeout: time.Minute, Log: &recorder{}})
				if err != nil {
					t.Fatal(err)
				}
				network := memnet.New()
				defer network.Close()
				l, err := network.Listen("n1:80")
				if err != nil {
					t.Fatal(err)
				}
				web := &http.Server{Handler: s.Handler()}
				defer web.Close()
				go web.Serve(l)
				conn, err := network.Dial(t.Context(), "caller", "n1:80")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				body := entityJSON()
				began := time.Now()
				fmt.Fprintf(conn, "PUT /version/entities/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", len(body))
				timer := time.AfterFunc(c.rest, func() { io.WriteString(conn, body[1:]) })
				defer timer.Stop()
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != c.status || time.Since(began) != c.after {
					answer, _ := io.ReadAll(resp.Body)
					t.Errorf("after %v: %d %s", time.Since(began), resp.StatusCode, answer)
				}
			})
		})
	}
}
