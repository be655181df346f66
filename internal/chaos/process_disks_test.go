package chaos_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tesd/tesd/internal/e2e"
)

// traces has system calls of a node fail or take long, for so long or until the node stops. It
// must say by its exit code that its disk is the reason. What is deadly may end it a moment later.
func (o *ordeal) traces(call, how string, limit time.Duration, deadly bool) func(*e2e.Node) (bool, error) {
	return func(n *e2e.Node) (bit bool, err error) {
		p := o.Process(n)
		p.MayFail()
		t, err := e2e.Trace(p.PID(), filepath.Join(o.t.TempDir(), "calls"), call, how)
		if err != nil {
			return false, err
		}
		for end := time.Now().Add(limit); time.Now().Before(end) && state(p) != 'Z' && !p.Ended(); {
			<-time.After(20 * time.Millisecond) // one that ends is not seen to while one of its threads is held
		}
		dead := state(p) == 'Z'
		err = t.End()
		if bit = t.Tampered() > 0; dead || bit && deadly {
			select {
			case <-p.Exited():
			case <-time.After(time.Second):
			}
		}
		if p.Ended() {
			if code := p.Code(); code != e2e.DiskFailed {
				return false, errors.Join(err, fmt.Errorf("%s ended with exit code %d, not %d", n.ID, code, e2e.DiskFailed))
			}
		}
		return bit || p.Ended(), err
	}
}

// damage has a node's log spoilt while the node is down. It must refuse to start and name the file,
// and comes back without its data; or what was damaged is not in use, and it did not bite.
func (o *ordeal) damage(spoil func(content []byte) []byte) (bit bool, err error) {
	n := o.any()
	o.Kill(n)
	file := filepath.Join(n.DataDir, "raft.db")
	content, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, spoil(content), 0o600)
	}
	if err != nil {
		return false, err
	}
	before := len(o.Log(n))
	o.Start(n)
	p, one := o.Process(n), o.Client(n)
	p.MayFail()
	o.Wait(n.ID+" neither ends nor is ready", time.Minute, func() bool {
		_, err := one.Ready(o.t.Context())
		return err == nil || p.Ended()
	})
	if !p.Ended() {
		return false, nil
	}
	said := o.Log(n)[before:]
	if code := p.Code(); code != e2e.DiskFailed || !strings.Contains(said, file) {
		return false, fmt.Errorf("%s ended with exit code %d, not %d, and said:\n%s", n.ID, code, e2e.DiskFailed, said)
	}
	o.readmit(n)
	return true, nil
}

// tear cuts the end off. The file is as long as the library wants it; what it has not come to yet is nothing.
func (o *ordeal) tear(content []byte) []byte {
	return content[:o.rng.IntN(len(bytes.TrimRight(content, "\x00")))]
}

// flip flips a bit.
func (o *ordeal) flip(content []byte) []byte {
	at := o.rng.IntN(len(content))
	for range 100 { // most of a file that has never been full is nothing
		if content[at] != 0 {
			break
		}
		at = o.rng.IntN(len(content))
	}
	content[at] ^= 1 << o.rng.IntN(8)
	return content
}
