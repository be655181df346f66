package httpapi_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// TestBackup takes a backup through the client and makes the same state of it.
func TestBackup(t *testing.T) {
	h := start(t)
	h.post("/version/bump", `{"scope":"patch"}`, "Idempotency-Key: once")
	c, err := client.New([]string{h.url}, client.WithHTTPClient(h.http))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	b, err := c.Backup(t.Context(), &file)
	if err != nil {
		t.Fatal(err)
	}
	view := h.node.View()
	hash := hexHash(view.StateHash())
	if b.StateHash != hash || b.AppliedIndex != view.Index() || b.Bytes != int64(file.Len()) || b.Node != "n1" || b.ClusterID != clusterID {
		t.Errorf("the backup is %+v, want state hash %s at %d", b, hash, view.Index())
	}
	m, err := fsm.Restore(&file)
	if err != nil {
		t.Fatal(err)
	}
	if restored := m.View(); hexHash(restored.StateHash()) != hash || restored.Keys() != 1 {
		t.Errorf("the restored state has hash %x and %d keys", restored.StateHash(), restored.Keys())
	}

	if _, err := c.Backup(t.Context(), io.Discard, client.Stale()); err != nil {
		t.Error(err)
	}
	if got := h.node.reads[len(h.node.reads)-1]; got.Mode != cluster.Stale {
		t.Errorf("read with %+v, want a stale read", got)
	}
	if r := h.do("HEAD", "/cluster/backup", ""); r.status != 200 || r.body != "" || r.header.Get("Tes-State-Hash") != hash {
		t.Errorf("HEAD answers %d %v", r.status, r.header)
	}
	h.node.readErr = cluster.ErrNoLeader
	if _, err := c.Backup(t.Context(), io.Discard); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("without a leader: %v", err)
	}
}

// TestBackupThatBreaks checks that an answer that cannot be written to its end does not end
// as if it were whole.
func TestBackupThatBreaks(t *testing.T) {
	h := start(t)
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("the handler ended with %v, want %v", p, http.ErrAbortHandler)
		}
	}()
	h.server.Handler().ServeHTTP(brokenPipe{httptest.NewRecorder()}, httptest.NewRequest("GET", "/cluster/backup", nil))
}

// brokenPipe takes headers, and no body.
type brokenPipe struct{ *httptest.ResponseRecorder }

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func hexHash(h fsm.Hash) string { return hex.EncodeToString(h[:]) }
