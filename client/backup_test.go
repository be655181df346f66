package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tesd/tesd/client"
)

// TestBackup checks which answers make a backup, and who is asked.
func TestBackup(t *testing.T) {
	headers := []string{"Tes-Node: n2", "Tes-Cluster: c1", "Tes-Applied-Index: 7", "Tes-State-Hash: ab"}
	whole := answer(200, "state", headers...)
	cut := func(r *http.Request) (*http.Response, error) {
		resp, _ := whole(r)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("st"), brokenReader{}))
		return resp, nil
	}
	for name, c := range map[string]struct {
		nodes []node
		asked int
		want  string // what the error says; "" for none
	}{
		"at once":                {[]node{whole}, 1, ""},
		"from the third":         {[]node{dead, noLeader, whole}, 3, ""},
		"from nobody":            {[]node{dead, broken, noLeader}, 3, "why"},
		"forbidden":              {[]node{forbidden}, 1, "why"},
		"cut off":                {[]node{cut, whole}, 1, "receiving the backup from http://n1: unexpected EOF"},
		"of something else":      {[]node{answer(200, "hello")}, 1, "does not answer as a node of tesd does"},
		"of a proxy in between":  {[]node{answer(502, "bad gateway"), whole}, 2, ""},
		"of something redirects": {[]node{answer(302, "")}, 1, "302"},
	} {
		t.Run(name, func(t *testing.T) {
			cl, s := play(t, 3, c.nodes...)
			var w bytes.Buffer
			b, err := cl.Backup(t.Context(), &w)
			if len(s.attempts) != c.asked {
				t.Errorf("%d nodes were asked, want %d", len(s.attempts), c.asked)
			}
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error is %v, want %q", err, c.want)
				}
				return
			}
			if want := (client.Backup{Node: "n2", ClusterID: "c1", AppliedIndex: 7, StateHash: "ab", Bytes: 5}); err != nil || *b != want || w.String() != "state" {
				t.Errorf("got %+v, %v, and %q", b, err, w.String())
			}
		})
	}
	c, _ := play(t, 1, noLeader)
	if _, err := c.Backup(t.Context(), io.Discard); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("without a leader: %v", err)
	}
}

// brokenReader is the end of an answer that breaks off.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
