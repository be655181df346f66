package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The library that keeps the log trusts its file: a number in it that is wrong can end the
// process from a goroutine of the library's own, or leave entries out unnoticed. So the file
// is read once before the library opens it, page by page as the tree refers to them, and held
// against all that the format (bbolt, version 2) says twice. What the values hold is not looked
// at here: they have checksums.
//
// One kind of damage is not seen: the number of a page that turns into that of a page which
// held an older version of the same part of the tree.

const (
	pageHead    = 16 // bytes: number, flags, count, overflow
	elementSize = 16 // bytes, of branch and of leaf pages

	branchPage = 0x01
	leafPage   = 0x02

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSize    = 64 // bytes, the checksum last

	bucketEntry = 0x01 // flag of an element whose value is a bucket
	bucketHead  = 16   // bytes: number of the root page, sequence
)

// pages is a file of the library while it is checked.
type pages struct {
	file   io.ReaderAt
	length int64  // of the file
	size   int64  // of a page
	end    uint64 // number of the first page that was never used
	seen   map[uint64]bool
}

// keyRange is where the keys of a page must be: from first on, below end if there is one.
type keyRange struct{ first, end []byte }

// buckets have, by their names, what checks the records of each bucket, in the order of their keys.
type buckets map[string]func(key, value []byte) error

// checkPages finds damage in a file of the library that nobody writes to and that has no other
// buckets than these. What the checks are given is valid until they return.
func checkPages(path string, b buckets) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	p := &pages{file: file, length: info.Size(), seen: make(map[uint64]bool)}
	return p.check(b)
}

// check checks the file, which has these buckets.
func (p *pages) check(b buckets) error {
	root, err := p.meta()
	if err != nil {
		return err
	}
	return p.page(root, keyRange{}, func(flags uint32, key, value []byte) error {
		check := b[string(key)]
		if flags != bucketEntry || check == nil || len(value) < bucketHead {
			return fmt.Errorf("%q is no bucket of the log", key)
		}
		record := func(flags uint32, key, value []byte) error {
			if flags != 0 {
				return fmt.Errorf("%q is no key of its bucket", key)
			}
			return check(key, value)
		}
		if root := binary.NativeEndian.Uint64(value); root != 0 {
			return p.page(root, keyRange{}, record)
		}
		_, err := p.content(value[bucketHead:], 0, keyRange{}, record)
		return err
	})
}

// meta reads the two pages that say where the tree begins: those of the last write and of
// the one before. Both must be whole: without the last one the library would go on from the
// one before, and forget what was written since.
func (p *pages) meta() (root uint64, err error) {
	var last uint64
	for i := range int64(2) {
		b := make([]byte, pageHead+metaSize)
		if _, err := p.file.ReadAt(b, i*p.size); err != nil {
			return 0, fmt.Errorf("page %d: %w", i, short(err))
		}
		m := b[pageHead:]
		sum := fnv.New64a()
		sum.Write(m[:metaSize-8])
		number := func(at int) uint64 { return binary.NativeEndian.Uint64(m[at:]) }
		if binary.NativeEndian.Uint32(m) != metaMagic || binary.NativeEndian.Uint32(m[4:]) != metaVersion || number(metaSize-8) != sum.Sum64() ||
			binary.NativeEndian.Uint64(b) != uint64(i) {
			return 0, fmt.Errorf("page %d: its checksum does not match", i)
		}
		size := int64(binary.NativeEndian.Uint32(m[8:]))
		if i == 1 && size != p.size || size < 512 || size > 1<<20 {
			return 0, fmt.Errorf("page %d: it says that pages have %d bytes", i, size)
		}
		p.size = size
		if transaction := number(48); i == 0 || transaction > last {
			root, p.end, last = number(16), number(40), transaction
		}
	}
	return root, nil
}

// page checks a page and those below it. each is called for each element of the leaves.
func (p *pages) page(number uint64, within keyRange, each func(flags uint32, key, value []byte) error) error {
	head := make([]byte, pageHead)
	if number < 2 || number >= p.end {
		return fmt.Errorf("page %d is referred to, and there are none beyond %d", number, p.end)
	}
	if _, err := p.file.ReadAt(head, int64(number)*p.size); err != nil {
		return fmt.Errorf("page %d: %w", number, short(err))
	}
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	if number+more >= p.end {
		return fmt.Errorf("page %d: it reaches beyond page %d", number, p.end)
	}
	for n := number; n <= number+more; n++ {
		if p.seen[n] {
			return fmt.Errorf("page %d is referred to twice", n)
		}
		p.seen[n] = true
	}
	size := int64(more+1) * p.size
	if int64(number)*p.size+size > p.length {
		return fmt.Errorf("page %d: %w", number, io.ErrUnexpectedEOF)
	}
	b := make([]byte, size)
	if _, err := p.file.ReadAt(b, int64(number)*p.size); err != nil {
		return fmt.Errorf("page %d: %w", number, short(err))
	}
	used, err := p.content(b, number, within, each)
	if err == nil && uint64(used-1)/uint64(p.size) != more { // it may fill the last of its pages
		err = errors.New("it reaches further than what it holds")
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", number, err)
	}
	return nil
}

// content checks what a page holds. It returns how many bytes of it are used.
func (p *pages) content(b []byte, number uint64, within keyRange, each func(flags uint32, key, value []byte) error) (used int, err error) {
	if len(b) < pageHead || binary.NativeEndian.Uint64(b) != number {
		return 0, errors.New("it is another page")
	}
	flags, count := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	if flags != branchPage && flags != leafPage || flags == branchPage && count == 0 {
		return 0, errors.New("it is none of the tree")
	}
	body := b[pageHead:]
	next := count * elementSize // the elements come first, then what they refer to, without gaps
	var last []byte
	for i := range count {
		if len(body) < (i+1)*elementSize {
			return 0, errors.New("it ends early")
		}
		e := element(body[i*elementSize:], flags)
		if i*elementSize+e.at != next || e.key+e.value > len(body)-next {
			return 0, fmt.Errorf("element %d is not where it should be", i)
		}
		key, value := body[next:next+e.key], body[next+e.key:next+e.key+e.value]
		next += e.key + e.value
		switch {
		case i > 0 && bytes.Compare(last, key) >= 0, within.first != nil && bytes.Compare(key, within.first) < 0,
			within.end != nil && bytes.Compare(key, within.end) >= 0:
			return 0, fmt.Errorf("element %d is out of order", i)
		}
		last = key
		if flags == leafPage {
			if err := each(e.flags, key, value); err != nil {
				return 0, err
			}
			continue
		}
		below := keyRange{key, within.end}
		if i+1 < count && len(body) >= (i+2)*elementSize {
			following := element(body[(i+1)*elementSize:], flags)
			if following.key > len(body)-next {
				return 0, fmt.Errorf("element %d is not where it should be", i+1)
			}
			below.end = body[next : next+following.key]
		}
		if err := p.page(e.page, below, each); err != nil {
			return 0, err
		}
	}
	return pageHead + next, nil
}

// pageElement is one of a page's elements.
type pageElement struct {
	at         int // where its key begins, from the element on
	key, value int // their lengths
	flags      uint32
	page       uint64 // of a branch
}

func element(b []byte, flags uint16) pageElement {
	number := func(at int) int { return int(binary.NativeEndian.Uint32(b[at:])) }
	if flags == branchPage {
		return pageElement{at: number(0), key: number(4), page: binary.NativeEndian.Uint64(b[8:])}
	}
	return pageElement{flags: binary.NativeEndian.Uint32(b), at: number(4), key: number(8), value: number(12)}
}

// short makes one of the two ways in which a file ends early.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
