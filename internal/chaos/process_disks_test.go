package chaos_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tesd/tesd/internal/e2e"
)

// diskFailed is the exit code of a node whose disk failed or whose data is damaged.
const diskFailed = 9

// traces has system calls of a node fail or take long, for so long or until the node stops. It
// must say by its exit code that its disk is the reason. What is deadly may end it a moment later.
func (o *ordeal) traces(call, how string, limit time.Duration, deadly bool) func(*e2e.Node) (bool, error) {
	return func(n *e2e.Node) (bit bool, err error) {
		p := o.Process(n)
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
			if code := p.Code(); code != diskFailed {
				return false, errors.Join(err, fmt.Errorf("%s ended with exit code %d, not %d", n.ID, code, diskFailed))
			}
		}
		return bit || p.Ended(), err
	}
}

// damage flips a bit of a node's log, or cuts off its end, while the node is down. It must
// refuse to start and name the file, and comes back without its data; or what was damaged is
// not in use.
func (o *ordeal) damage() error {
	n := o.any()
	o.Kill(n)
	file := filepath.Join(n.DataDir, "raft.db")
	what, err := o.spoil(file)
	if err != nil {
		return err
	}
	before := len(o.Log(n))
	o.Start(n)
	p, one := o.Process(n), o.Client(n)
	o.Wait(n.ID+" neither ends nor is ready", time.Minute, func() bool {
		_, err := one.Ready(o.t.Context())
		return err == nil || p.Ended()
	})
	if !p.Ended() {
		o.w.Fault(what, false)
		return nil
	}
	said := o.Log(n)[before:]
	if code := p.Code(); code != diskFailed || !strings.Contains(said, file) {
		return fmt.Errorf("%s: %s ended with exit code %d, not %d, and said:\n%s", what, n.ID, code, diskFailed, said)
	}
	o.readmit(n)
	o.w.Fault(what, true)
	return nil
}

// spoil damages a file.
func (o *ordeal) spoil(file string) (what string, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if o.rng.IntN(4) == 0 {
		return "fault: log torn", os.Truncate(file, int64(o.rng.IntN(len(content))))
	}
	at := o.rng.IntN(len(content))
	for range 100 { // most of a file that has never been full is nothing
		if content[at] != 0 {
			break
		}
		at = o.rng.IntN(len(content))
	}
	content[at] ^= 1 << o.rng.IntN(8)
	return "fault: bit of the log flipped", os.WriteFile(file, content, 0o600)
}
