package powerloss

import (
	"maps"
	"slices"
	"syscall"
	"time"
)

// inode is a file or a directory.
type inode struct {
	id       uint64
	mode     uint32 // permissions
	modified time.Time

	file        *contents         // nil of a directory
	names, safe map[string]*inode // of a directory, now and durable
}

// entry is what a name in a directory becomes; nothing if to is nil.
type entry struct {
	dir  *inode
	name string
	to   *inode
}

func (e entry) set(names map[string]*inode) {
	if e.to == nil {
		delete(names, e.name)
	} else {
		names[e.name] = e.to
	}
}

// A change of names, one or two, is durable as a whole or not at all.
type change []entry

// keep makes a change durable.
func (c change) keep() {
	for _, e := range c {
		e.set(e.dir.safe)
	}
}

// volume is a tree of files, and what of it is durable. It is not safe for concurrent use.
type volume struct {
	root    *inode
	last    uint64   // id given
	pending []change // of names, not durable
}

func newVolume() *volume {
	v := &volume{}
	v.root = v.node(true, 0o755)
	return v
}

func (v *volume) node(dir bool, mode uint32) *inode {
	v.last++
	n := &inode{id: v.last, mode: mode, modified: time.Now()}
	if dir {
		n.names, n.safe = make(map[string]*inode), make(map[string]*inode)
	} else {
		n.file = newContents()
	}
	return n
}

func (v *volume) change(c change) {
	for _, e := range c {
		e.set(e.dir.names)
		e.dir.modified = time.Now()
	}
	v.pending = append(v.pending, c)
}

// create makes a file or a directory.
func (v *volume) create(parent *inode, name string, dir bool, mode uint32) (*inode, syscall.Errno) {
	if parent.names[name] != nil {
		return nil, syscall.EEXIST
	}
	n := v.node(dir, mode&0o7777)
	v.change(change{{parent, name, n}})
	return n, 0
}

// remove removes a file, or an empty directory.
func (v *volume) remove(parent *inode, name string) syscall.Errno {
	n := parent.names[name]
	switch {
	case n == nil:
		return syscall.ENOENT
	case len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	v.change(change{{parent, name, nil}})
	return 0
}

// rename moves a file or a directory, over what has the new name already.
func (v *volume) rename(from *inode, name string, to *inode, as string) syscall.Errno {
	n, over := from.names[name], to.names[as]
	switch {
	case n == nil:
		return syscall.ENOENT
	case over != nil && len(over.names) > 0:
		return syscall.ENOTEMPTY
	}
	v.change(change{{from, name, nil}, {to, as, n}})
	return 0
}

// sync makes durable what is in a file, or the names in a directory.
func (v *volume) sync(n *inode) {
	if n.file != nil {
		n.file.sync()
		return
	}
	// What moves between two directories is one change, and takes what else changed in the other along.
	dirs := map[*inode]bool{n: true}
	for grown := true; grown; {
		grown = false
		for _, c := range v.pending {
			if from, to := c[0].dir, c[len(c)-1].dir; dirs[from] != dirs[to] {
				dirs[from], dirs[to], grown = true, true, true
			}
		}
	}
	v.pending = slices.DeleteFunc(v.pending, func(c change) bool {
		durable := dirs[c[0].dir]
		if durable {
			c.keep()
		}
		return durable
	})
}

// lose forgets what is not durable, but for what keep says of that it is kept.
func (v *volume) lose(keep func() bool) (l Loss) {
	changed := make(map[entry]bool) // each name once, without what it is
	for _, c := range v.pending {
		if keep() {
			c.keep()
		}
		for _, e := range c {
			changed[entry{e.dir, e.name, nil}] = true
		}
	}
	for e := range changed {
		if e.dir.names[e.name] != e.dir.safe[e.name] {
			l.Names++
		}
	}
	v.pending = nil
	v.root.lose(keep, &l)
	return l
}

// lose brings a file, or all that is durable below a directory, to what is durable.
func (n *inode) lose(keep func() bool, l *Loss) {
	if n.file != nil {
		l.Add(n.file.lose(keep))
		return
	}
	n.names = maps.Clone(n.safe)
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		n.names[name].lose(keep, l)
	}
}
