package fsm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrBadSnapshot says that a snapshot is damaged or not one of this format. The
// message names what is wrong and where.
var ErrBadSnapshot = errors.New("snapshot is not usable")

// Restore makes a machine from a snapshot that may come from anywhere. Everything is
// checked: each section's checksum, the structure, the hash chain of each history, and in
// the end the state hash. Any fault is [ErrBadSnapshot]. It is found only once a block is open, so that a forged
// snapshot, however small, may take as much memory as a block of the largest size.
func Restore(r io.Reader) (*Machine, error) { return restore(r, false) }

// Load is Restore for a snapshot that this node wrote. It takes the checksums' word for the full
// blocks of a history, and leaves their hash chains, half of the work, to those who read them: a
// block is read to its end, which must lead to the next, before anything of it is handed out.
// The newest block is checked, and the state hash.
func Load(r io.Reader) (*Machine, error) { return restore(r, true) }

func restore(r io.Reader, trusting bool) (*Machine, error) {
	s := snapshotReader{r: bufio.NewReaderSize(r, 128<<10), trusting: trusting, m: New(), held: make(map[uint32]uint64)}
	if err := s.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	return s.m, nil
}

// snapshotReader builds a machine section by section.
type snapshotReader struct {
	r        *bufio.Reader
	trusting bool // full blocks are not hashed
	deflated bool // it is of the format before
	buf      bytes.Buffer
	m        *Machine
	held     map[uint32]uint64 // how many keys refer to transactions, by registry
	current  *registry         // the one that slots and blocks belong to
	next     uint64            // revision that the next block of its history must start with
	last     Hash              // and the hash of the transaction before; zero if that was not hashed
	blocks   blockReader       // of the current one's history
}

func (s *snapshotReader) read() error {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(s.r, magic); err != nil || string(magic) != snapshotMagic && string(magic) != snapshotBefore {
		if bytes.HasPrefix(magic, []byte(snapshotFormat)) {
			return fmt.Errorf("it is of format %q, and this build of tesd reads %q and the one before", bytes.TrimSpace(magic), strings.TrimSpace(snapshotMagic))
		}
		return fmt.Errorf("it does not start with %q", snapshotMagic)
	}
	s.deflated = string(magic) == snapshotBefore
	for n := 0; ; n++ {
		kind, payload, err := s.section()
		if err == nil && (n == 0) != (kind == sectionHead) {
			err = errors.New("the head is not the first section")
		}
		d := decoder{buf: payload}
		if err == nil {
			err = s.take(kind, &d)
		}
		if err == nil {
			err = d.finish()
		}
		if err != nil {
			return fmt.Errorf("section %d: %w", n, err)
		}
		if kind != sectionEnd {
			continue
		}
		if _, err := s.r.ReadByte(); err != io.EOF {
			return errors.New("there is more after its end")
		}
		return nil
	}
}

// section reads the next section and checks it. The payload is valid until the next
// call.
func (s *snapshotReader) section() (kind byte, payload []byte, err error) {
	if kind, err = s.r.ReadByte(); err != nil {
		return 0, nil, errors.New("it ends early")
	}
	size, err := binary.ReadUvarint(s.r)
	if err != nil || size > maxSection {
		return 0, nil, errors.New("length of the section")
	}
	s.buf.Reset()
	if _, err := io.CopyN(&s.buf, s.r, int64(size)+4); err != nil {
		return 0, nil, errors.New("it ends early")
	}
	b := s.buf.Bytes()
	payload, sum := b[:size], b[size:]
	if checksum(payload) != binary.LittleEndian.Uint32(sum) {
		return 0, nil, errors.New("checksum does not match")
	}
	return kind, payload, nil
}

func (s *snapshotReader) take(kind byte, d *decoder) error {
	switch kind {
	case sectionHead:
		return s.head(d)
	case sectionRegistry:
		return s.registry(d)
	case sectionSlots:
		return s.slots(d)
	case sectionBlock:
		return s.block(d)
	case sectionKeys:
		return s.keys(d)
	case sectionEnd:
		return s.end(d)
	}
	return fmt.Errorf("unknown type %d", kind)
}

func (s *snapshotReader) head(d *decoder) error {
	m := s.m
	m.index = d.uint()
	m.cluster = Genesis{ClusterID: d.string(), RegistryID: d.string(), KeyID: d.string(), Key: nonEmpty(d.bytes()), HistoryKeep: d.uint()}
	m.stamp, m.age, m.malformed = int64(d.uint()), int64(d.uint()), d.uint()
	m.keys.head = d.uint()
	m.keys.base = m.keys.head
	for range d.count() {
		if d.err != nil {
			break
		}
		m.names = append(m.names, d.string())
	}
	return d.err
}

func (s *snapshotReader) registry(d *decoder) error {
	if err := s.endRegistry(); err != nil {
		return err
	}
	id, ordinal := d.string(), d.uint()
	if d.err != nil || ordinal >= uint64(len(s.m.names)) || s.m.names[ordinal] != id {
		return fmt.Errorf("registry %s is not where the head has it", quoteShort(id))
	}
	if _, ok := s.m.registries.Get(id); ok {
		return fmt.Errorf("registry %s stands twice", quoteShort(id))
	}
	r := newRegistry(id, uint32(ordinal))
	r.revision, r.head, r.stamp, r.oldest = d.uint(), d.hash(), int64(d.uint()), d.uint()
	r.keys.living, r.keys.floor = d.uint(), d.uint()
	for range d.count() {
		if d.err != nil {
			break
		}
		r.eras = append(r.eras, era{d.string(), d.uint()})
	}
	r.sum = r.hash()
	s.m.sum.add(r.sum)
	s.m.registries.Set(id, r)
	s.current, s.next, s.last = r, 0, Hash{}
	s.blocks.chain, s.blocks.shared = r.chain(s.m.cluster.ClusterID), true
	if r.revision > 0 && r.oldest == 1 {
		s.next = 1 // the whole chain, from its zero hash
	}
	return d.err
}

func (s *snapshotReader) slots(d *decoder) error {
	r := s.current
	if r == nil {
		return errors.New("entities without a registry")
	}
	for len(d.buf) > 0 && d.err == nil {
		gone, version := d.bool(), d.string()
		e := decodeEntity(d)
		e.CurrentVersion = version
		sl := newSlot(r.id, &e, revList{})
		if gone {
			sl = sl.deleted(r.id)
		}
		if _, twice := r.slots.Get(e.ID); twice {
			return fmt.Errorf("entity %s stands twice", quoteShort(e.ID))
		}
		r.set(e.ID, sl)
		s.m.sum.add(sl.sum)
	}
	return d.err
}

// block takes a block of the history as it is, after reading it once: that builds the index
// of each entity's revisions, and checks the chain.
func (s *snapshotReader) block(d *decoder) error {
	r := s.current
	if r == nil {
		return errors.New("history without a registry")
	}
	sealed := d.bool()
	b := block{first: d.uint(), count: int(d.uint()), previous: d.hash(), size: int(d.uint()), data: nonEmpty(d.bytes())}
	b.unhashed = sealed && s.trusting
	if d.err != nil {
		return d.err
	}
	if sealed && s.deflated {
		records, err := inflate(b.data, uint64(b.size))
		if err != nil {
			return fmt.Errorf("opening the history block of revision %d: %w", b.first, err)
		}
		b.data = s.m.packer.pack(records)
	}
	if s.next == 0 && b.first <= r.oldest { // what is older than the first block is not kept
		s.next, s.last = b.first, b.previous
	}
	h := &r.history
	switch {
	case h.tail.count > 0:
		return errors.New("history after its open block")
	case b.count <= 0 || b.first != s.next || b.previous != s.last && !s.trusting:
		return fmt.Errorf("history block of revision %d does not follow the one before", b.first)
	case sealed:
		h.sealed = append(h.sealed, b)
	case b.size != len(b.data):
		return fmt.Errorf("history block of revision %d has another size than it says", b.first)
	default:
		h.tail = b
	}
	s.blocks.unhashed = b.unhashed
	if err := s.blocks.open(&b, sealed); err != nil {
		return err
	}
	for s.blocks.left > 0 {
		t, err := s.blocks.next()
		if err != nil {
			return err
		}
		for i := range t.Changes {
			if sl, ok := r.slots.Get(t.Changes[i].EntityID); ok {
				sl.revs.append(t.Revision, r.oldest)
			}
		}
		s.next, s.last = t.Revision+1, t.Hash
	}
	return s.blocks.finish()
}

// endRegistry checks that the history of the current registry reaches its head.
func (s *snapshotReader) endRegistry() error {
	r := s.current
	if r == nil || r.revision == 0 {
		return nil
	}
	if s.next != r.revision+1 || s.last != r.head {
		return fmt.Errorf("the history of registry %s does not end at its revision %d", quoteShort(r.id), r.revision)
	}
	return r.checkContent()
}

// checkContent holds a restored registry against the rules that the machine relies on.
func (r *registry) checkContent() error {
	entities := make([]Entity, 0, r.entities)
	var fault error
	r.slots.Scan(func(id string, s *slot) bool {
		if problems := s.def.Check(); problems != nil {
			fault = fmt.Errorf("entity %s: %s: %s", quoteShort(id), problems[0].Path, problems[0].Message)
		} else if _, err := ParseVersion(s.version); err != nil {
			fault = fmt.Errorf("entity %s: %w", quoteShort(id), err)
		}
		if !s.gone {
			entities = append(entities, s.entity())
		}
		return fault == nil
	})
	var report Report
	if report.checkStructure(entities); fault == nil && !report.Valid() {
		f := report.Errors[0]
		fault = fmt.Errorf("entity %s: %s", quoteShort(f.EntityID), f.Message)
	}
	return fault
}

func (s *snapshotReader) keys(d *decoder) error {
	m := s.m
	for len(d.buf) > 0 && d.err == nil {
		k := keyEntry{}
		copy(k.name[:], d.fixed(uint64(len(k.name))))
		copy(k.request[:], d.fixed(uint64(len(k.request))))
		k.born, k.registry, k.revision, k.other = int64(d.uint()), uint32(d.uint()), d.uint(), decodeNoTransaction(d)
		if _, twice := m.keyIndex.find(&m.keys, &k.name); twice {
			return errors.New("an idempotency key stands twice")
		}
		if !k.other.refused() && (uint64(k.registry) >= uint64(len(m.names)) || !m.refers(&k)) {
			return errors.New("an idempotency key refers to what is not there")
		}
		if k.other == nil {
			s.held[k.registry]++
		}
		m.addKey(k)
	}
	return d.err
}

// refers reports whether the transaction that a key answers with is kept.
func (m *Machine) refers(k *keyEntry) bool {
	r, ok := m.registries.Get(m.names[k.registry])
	return ok && (k.other != nil || k.revision > r.keys.floor && k.revision >= r.oldest && k.revision <= r.revision)
}

func (s *snapshotReader) end(d *decoder) error {
	if err := s.endRegistry(); err != nil {
		return err
	}
	if s.m.registries.Len() != len(s.m.names) {
		return errors.New("registries are missing")
	}
	for _, id := range s.m.names {
		if r, _ := s.m.registries.Get(id); s.held[r.ordinal] != r.keys.living {
			return fmt.Errorf("registry %s counts other idempotency keys than there are", quoteShort(id))
		}
	}
	if s.m.View().StateHash() != d.hash() {
		return errors.New("the state hash does not match")
	}
	return nil
}
