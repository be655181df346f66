package powerloss

import "syscall"

// Kind is what an operation does to a disk.
type Kind int

// The kinds of operations that [Disk.Fail] has fail.
const (
	Write  Kind = iota // to a file, or of its size
	Sync               // of a file, or of the names in a directory
	Rename             // of a file or a directory

	kinds = iota
)

// String is the name of the kind.
func (k Kind) String() string { return [kinds]string{"write", "sync", "rename"}[k] }

// failing is which operations fail.
type failing struct {
	kind    Kind
	left    int // so many more operations until one fails; below 0 once it has
	errno   syscall.Errno
	lasting bool
	path    string // of what failed first
}

// Fail has the nth operation of a kind that comes from now on fail, and all of its kind that follow if it is
// lasting. What was to fail before no longer does; with 0 nothing is. A write or rename that fails does nothing. A
// sync of a file that fails takes what was written for clean, as Linux does: it is read as if all were well, no later
// sync makes it durable unless it is written again, and a loss of power forgets it. What was to be made durable of
// the names in a directory is by the next sync of it.
func (d *Disk) Fail(kind Kind, nth int, errno syscall.Errno, lasting bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = failing{kind: kind, left: nth, errno: errno, lasting: lasting}
}

// Failed returns the path, from the root of the disk, of what failed first since [Disk.Fail]; "" if nothing did.
func (d *Disk) Failed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fails.path
}

// Count returns how many operations of a kind there were so far.
func (d *Disk) Count(kind Kind) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[kind]
}

// meet counts an operation, and returns why it fails; 0 if it does not.
func (d *Disk) meet(kind Kind, path func() string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[kind]++
	f := &d.fails
	if f.kind != kind || f.errno == 0 || f.left == 0 {
		return 0
	}
	if f.left > 1 {
		f.left--
		return 0
	}
	if f.path == "" {
		f.path = "/" + path()
	}
	if f.left = -1; !f.lasting {
		f.left = 0
	}
	return f.errno
}
