package powerloss

import (
	"bytes"
	"maps"
	"slices"
)

const (
	pageSize   = 4096
	sectorSize = 512 // what a disk writes as a whole
)

type page [pageSize]byte

// contents are what is in a file, and what of it is durable. Pages that are not there are zeros.
// The pages of both are the same where nothing was written since, so those of safe never change.
type contents struct {
	size, safeSize int64
	pages, safe    map[int64]*page
	dirty          map[int64]struct{} // pages that may differ
	forsaken       map[int64]struct{} // others that may, and no sync makes durable
}

func newContents() *contents {
	return &contents{
		pages: make(map[int64]*page), safe: make(map[int64]*page),
		dirty: make(map[int64]struct{}), forsaken: make(map[int64]struct{}),
	}
}

// read reads as much as there is.
func (c *contents) read(dest []byte, off int64) (n int) {
	if off >= c.size {
		return 0
	}
	dest = dest[:min(int64(len(dest)), c.size-off)]
	for n < len(dest) {
		number, at := (off+int64(n))/pageSize, (off+int64(n))%pageSize
		p := c.pages[number]
		if p == nil {
			p = &page{}
		}
		n += copy(dest[n:], p[at:])
	}
	return n
}

func (c *contents) write(data []byte, off int64) {
	c.size = max(c.size, off+int64(len(data)))
	for len(data) > 0 {
		n := copy(c.own(off / pageSize)[off%pageSize:], data)
		data, off = data[n:], off+int64(n)
	}
}

// own returns a page that may be written to.
func (c *contents) own(number int64) *page {
	c.soil(number)
	p := c.pages[number]
	switch {
	case p == nil:
		p = &page{}
	case p == c.safe[number]:
		p = new(*p)
	}
	c.pages[number] = p
	return p
}

// soil notes that a page is written.
func (c *contents) soil(number int64) {
	c.dirty[number] = struct{}{}
	delete(c.forsaken, number)
}

func (c *contents) truncate(size int64) {
	for number := range c.pages {
		if number*pageSize >= size {
			c.soil(number)
			delete(c.pages, number)
		}
	}
	if at := size % pageSize; at > 0 && c.pages[size/pageSize] != nil {
		clear(c.own(size / pageSize)[at:])
	}
	c.size = size
}

// sync makes all durable.
func (c *contents) sync() {
	for number := range c.dirty {
		if p := c.pages[number]; p != nil {
			c.safe[number] = p
		} else {
			delete(c.safe, number)
		}
	}
	clear(c.dirty)
	c.safeSize = c.size
}

// forsake is a sync that has failed: what was written since the last one stays as it is until power is lost.
func (c *contents) forsake() {
	maps.Copy(c.forsaken, c.dirty)
	clear(c.dirty)
}

// lose forgets what is not durable, but for the sectors, and the size, that keep says of that they
// are kept.
func (c *contents) lose(keep func() bool) (l Loss) {
	maps.Copy(c.dirty, c.forsaken)
	clear(c.forsaken)
	size := c.safeSize
	switch {
	case c.size == c.safeSize:
	case keep():
		size = c.size
	default:
		l.Sizes++
	}
	for _, number := range slices.Sorted(maps.Keys(c.dirty)) {
		was, now := c.safe[number], c.pages[number]
		c.safe[number] = tear(was, now, keep, &l)
	}
	c.size, c.pages = max(c.size, c.safeSize), maps.Clone(c.safe)
	c.truncate(size)
	c.sync()
	return l
}

// tear returns a page of which some sectors were written and some not; nil is a page of zeros.
func tear(was, now *page, keep func() bool, l *Loss) *page {
	torn := &page{}
	if was != nil {
		*torn = *was
	}
	if now == nil {
		now = &page{}
	}
	for at := 0; at < pageSize; at += sectorSize {
		old, written := torn[at:at+sectorSize], now[at:at+sectorSize]
		switch {
		case bytes.Equal(old, written):
		case keep():
			copy(old, written)
			l.Kept++
		default:
			l.Sectors++
		}
	}
	return torn
}
