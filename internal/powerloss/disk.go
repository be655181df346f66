package powerloss

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// ErrUnavailable is that there is no FUSE here, or that it may not be used.
var ErrUnavailable = errors.New("no disk by FUSE can be mounted here")

// Disk is a file system that is mounted until [Disk.Close]. Its methods may be called concurrently,
// but for Lose and Close, which nobody may use the files beside.
type Disk struct {
	dir string

	mu     sync.Mutex
	volume *volume
	counts [kinds]int // of operations
	fails  failing
	lies   bool
	cut    bool
	hold   *hold // nil if no sync waits
	served mount
}

// mount is a file system that is served by this process.
type mount interface {
	unmount() error
}

// hold has syncs wait.
type hold struct {
	after int           // so many more syncs
	held  chan struct{} // closed when the first one waits
	once  sync.Once
	freed chan struct{} // closed when they go on
	limit *time.Timer
}

// New mounts an empty disk at a directory, which must exist. The error is [ErrUnavailable] if that
// cannot be done here. Whoever calls it calls [Disk.Close].
func New(dir string) (*Disk, error) {
	d := &Disk{dir: dir, volume: newVolume()}
	var err error
	if d.served, err = serve(dir, d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return d, nil
}

// Syncs returns how many syncs of files and directories there were so far.
func (d *Disk) Syncs() int { return d.Count(Sync) }

// Lie has the disk say of syncs that they are done, and make nothing durable; or no longer. What was
// not made durable is by the next sync that is.
func (d *Disk) Lie(lies bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = lies
}

// Hold lets so many syncs pass and has those that follow wait, until [Disk.Release], [Disk.Cut] or
// [Disk.Lose], or for limit. A process whose sync waits cannot be ended, not even by SIGKILL. The
// channel is closed once a sync waits.
func (d *Disk) Hold(after int, limit time.Duration) (held <-chan struct{}) {
	d.Release()
	h := &hold{after: after, held: make(chan struct{}), freed: make(chan struct{})}
	h.limit = time.AfterFunc(limit, d.Release)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hold = h
	return h.held
}

// Release has the syncs that wait go on.
func (d *Disk) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release()
}

func (d *Disk) release() {
	if d.hold != nil {
		d.hold.limit.Stop()
		close(d.hold.freed)
		d.hold = nil
	}
}

// Cut is the moment at which power is lost: from now on nothing is written, and nothing made durable.
// Whatever tries, and the syncs that wait, fail. So a process that was sent SIGKILL before can end.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = true
	d.release()
}

// Lose is a loss of power, if there was no [Disk.Cut] before, and its end: the disk forgets what is
// not durable, and is mounted afresh. With rng it may keep a part, which is random; without, it
// keeps nothing. No process may have files of the disk open.
func (d *Disk) Lose(rng *rand.Rand) (Loss, error) {
	d.Cut()
	if err := d.served.unmount(); err != nil {
		return Loss{}, err
	}
	d.mu.Lock()
	loss := d.volume.lose(keeper(rng))
	d.cut = false
	d.mu.Unlock()
	var err error
	d.served, err = serve(d.dir, d)
	return loss, err
}

// keeper returns what decides of each thing whether it is kept: one time in three nothing is.
func keeper(rng *rand.Rand) func() bool {
	if rng == nil || rng.IntN(3) == 0 {
		return func() bool { return false }
	}
	share := rng.Float64()
	return func() bool { return rng.Float64() < share }
}

// Close ends the disk. What was on it is gone.
func (d *Disk) Close() error {
	d.Cut()
	return d.served.unmount()
}

// sync makes a file or the names in a directory durable, when it may.
func (d *Disk) sync(n *inode, path func() string) syscall.Errno {
	fault := d.meet(Sync, path)
	d.mu.Lock()
	h := d.hold
	if h != nil && h.after > 0 {
		h.after--
		h = nil
	}
	d.mu.Unlock()
	if h != nil {
		h.once.Do(func() { close(h.held) })
		<-h.freed
	}
	return d.alter(func(v *volume) syscall.Errno {
		switch {
		case fault != 0 && n.file != nil:
			n.file.forsake()
		case fault == 0 && !d.lies:
			v.sync(n)
		}
		return fault
	})
}

// alter has the disk changed, if it has power.
func (d *Disk) alter(change func(*volume) syscall.Errno) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut {
		return syscall.EIO
	}
	return change(d.volume)
}

// look has the disk read.
func (d *Disk) look(read func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	read()
}
