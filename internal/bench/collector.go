package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// A collector puts all commands that wait into one entry of the log, and takes the next when that one is
// applied; unlike tesd's leader, it does not wait for callers who come again. With it the reference is a sketch of what is possible
// where requests share entries: each command is read as JSON and each answer signed, but nothing is checked,
// planned, kept or hashed.
type collector struct {
	node *raft.Raft
	wake chan struct{} // holds a token when somebody may wait

	mu    sync.Mutex
	queue []*collected
}

// A collected command waits for the entry that it is in.
type collected struct {
	body []byte
	done chan error
}

func newCollector(node *raft.Raft) *collector {
	return &collector{node: node, wake: make(chan struct{}, 1)}
}

// run writes entries until the process ends.
func (c *collector) run() {
	for range c.wake {
		c.mu.Lock()
		batch := c.queue
		c.queue = nil
		c.mu.Unlock()
		var bodies [][]byte
		for _, one := range batch {
			bodies = append(bodies, one.body)
		}
		err := c.node.Apply(bytes.Join(bodies, []byte{'\n'}), 10*time.Second).Error()
		for _, one := range batch {
			one.done <- err
		}
	}
}

// do waits until a command is applied.
func (c *collector) do(body []byte) error {
	one := &collected{body, make(chan error, 1)}
	c.mu.Lock()
	c.queue = append(c.queue, one)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return <-one.done
}

// serve answers a bump.
func (c *collector) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var bump struct{ Scope, EntityID string }
	if err == nil {
		err = json.Unmarshal(body, &bump)
	}
	if err == nil {
		err = c.do(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	const version = "1.0.0"
	payload := strings.Join([]string{bump.Scope, bump.EntityID, version}, "\n")
	mac := hmac.New(sha256.New, make([]byte, sha256.Size))
	mac.Write([]byte(payload))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"entityId": bump.EntityID, "version": version, "payload": payload, "signature": hex.EncodeToString(mac.Sum(nil)),
	})
}
