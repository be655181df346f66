package fsm

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Entry is what one record of the replicated log holds.
type Entry struct {
	Stamp    int64 // the leader's clock, in Unix milliseconds
	Commands []Command
}

// The layout of an encoded entry: format byte, flags byte, CRC-32C of all the rest,
// body. The body is the stamp, the number of commands, and each command behind its
// length. With flagDeflate the body is its own length and then its DEFLATE stream.
const (
	entryFormat = 1
	flagDeflate = 1
	headerSize  = 6

	compressAbove = 256 << 10 // bytes of a body from which on it is compressed
	maxBody       = 256 << 20 // bytes of a body, against a forged length
	maxStamp      = 1<<53 - 1 // what JSON can say as a number (RFC 8785 by way of RFC 7493)
)

// MaxCommands is how many commands an entry holds at most.
const MaxCommands = 4096

// Faults of an encoded entry that must stop the node: to go on would be to differ
// from the other nodes.
var (
	ErrChecksum    = errors.New("entry checksum does not match: the log is damaged")
	ErrNewerFormat = errors.New("entry needs a newer tesd")
	ErrBadEntry    = errors.New("entry is not well-formed")
)

// EncodeEntry encodes an entry for the log.
func EncodeEntry(entry Entry) ([]byte, error) {
	commands := make([][]byte, len(entry.Commands))
	for i := range entry.Commands {
		commands[i] = EncodeCommand(nil, entry.Commands[i])
	}
	return JoinEntry(entry.Stamp, commands)
}

// JoinEntry encodes an entry for the log from commands that [EncodeCommand] encoded.
func JoinEntry(stamp int64, commands [][]byte) ([]byte, error) {
	if len(commands) > MaxCommands {
		return nil, fmt.Errorf("entry of %d commands, the limit is %d", len(commands), MaxCommands)
	}
	size := headerSize + 2*binary.MaxVarintLen64
	for _, c := range commands {
		size += binary.MaxVarintLen32 + len(c)
	}
	e := encoder{buf: make([]byte, headerSize, size)}
	e.uint(uint64(max(stamp, 0)))
	e.uint(uint64(len(commands)))
	for _, c := range commands {
		e.bytes(c)
	}
	if len(e.buf) > maxBody {
		return nil, fmt.Errorf("entry of %d bytes, the limit is %d", len(e.buf), maxBody)
	}
	buf := e.buf
	buf[0], buf[1] = entryFormat, 0
	if len(buf) > compressAbove {
		packed := make([]byte, headerSize, len(buf)/4)
		packed = binary.AppendUvarint(packed, uint64(len(buf)-headerSize))
		var d deflater
		packed = append(packed, d.deflate(buf[headerSize:])...)
		buf = packed
		buf[0], buf[1] = entryFormat, flagDeflate
	}
	binary.LittleEndian.PutUint32(buf[2:], checksum(buf[:2], buf[headerSize:]))
	return buf, nil
}

// DecodeEntry reads what [EncodeEntry] wrote. It returns [ErrChecksum],
// [ErrNewerFormat] or [ErrBadEntry], on which a node stops. A command, or a whole entry,
// whose frame is sound but whose body does not decode is no error: it stands in the entry
// as a command that the machine refuses and counts, the same on every node.
func DecodeEntry(b []byte) (Entry, error) {
	if len(b) == 0 {
		return Entry{}, fmt.Errorf("%w: it is empty", ErrBadEntry)
	}
	if b[0] > entryFormat {
		return Entry{}, fmt.Errorf("entry format %d: %w", b[0], ErrNewerFormat)
	}
	if len(b) < headerSize || b[0] != entryFormat {
		return Entry{}, fmt.Errorf("%w: no header", ErrBadEntry)
	}
	body := b[headerSize:]
	if checksum(b[:2], body) != binary.LittleEndian.Uint32(b[2:]) {
		return Entry{}, ErrChecksum
	}
	switch b[1] {
	case 0:
	case flagDeflate:
		d := decoder{buf: body}
		size := d.uint()
		raw, err := inflate(d.buf, size)
		if d.err != nil || err != nil {
			return unreadable(), nil
		}
		body = raw
	default:
		return Entry{}, fmt.Errorf("entry flags %#x: %w", b[1], ErrNewerFormat)
	}
	return decodeBody(body)
}

func decodeBody(body []byte) (Entry, error) {
	d := decoder{buf: body}
	entry := Entry{Stamp: int64(min(d.uint(), maxStamp))}
	entry.Commands = make([]Command, 0, d.countTo(MaxCommands))
	for range cap(entry.Commands) {
		frame := d.bytes()
		if d.err != nil {
			break
		}
		c, err := DecodeCommand(frame)
		if errors.Is(err, ErrNewerFormat) {
			return Entry{}, err
		} else if err != nil {
			c = Command{Op: malformed{}}
		}
		entry.Commands = append(entry.Commands, c)
	}
	if d.finish() != nil {
		return unreadable(), nil
	}
	return entry, nil
}

// unreadable is an entry of a known format, as it was written, whose body says nothing. To
// stop at it would stop every node for ever, so that all refuse and count it.
func unreadable() Entry { return Entry{Commands: []Command{{Op: malformed{}}}} }

// checksum returns the CRC-32C of the parts, one after the other.
func checksum(parts ...[]byte) (sum uint32) {
	for _, b := range parts {
		sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b)
	}
	return sum
}

// deflater deflates one thing after another in the same memory. The zero value is ready.
type deflater struct {
	w   *flate.Writer // made when first needed: it takes more memory than a small cluster's state
	out bytes.Buffer
}

// deflate compresses src. The level trades little size for half the time. What it returns takes no
// more memory than it needs.
func (d *deflater) deflate(src []byte) []byte {
	d.out.Reset()
	if d.w == nil {
		d.w, _ = flate.NewWriter(&d.out, flate.BestSpeed) // fails on an unknown level only
	} else {
		d.w.Reset(&d.out)
	}
	d.w.Write(src) // a bytes.Buffer does not fail
	d.w.Close()
	packed := bytes.Clone(d.out.Bytes())
	if d.out.Cap() > maxKept {
		d.out = bytes.Buffer{}
	}
	return packed
}

// inflate returns the size bytes that src holds compressed, and an error if it
// holds fewer or more.
func inflate(src []byte, size uint64) ([]byte, error) {
	var i inflater
	return i.inflate(src, size)
}

// inflater inflates one thing after another in the same memory. The zero value is ready.
type inflater struct {
	r   io.ReadCloser // made when first needed; also a flate.Resetter
	src bytes.Reader
	out bytes.Buffer
}

// inflate is as the function. The bytes are valid until the next call.
func (i *inflater) inflate(src []byte, size uint64) ([]byte, error) {
	if size > maxBody {
		return nil, errMalformed
	}
	i.src.Reset(src)
	i.out.Reset()
	if i.r == nil {
		i.r = flate.NewReader(&i.src)
	} else if err := i.r.(flate.Resetter).Reset(&i.src, nil); err != nil {
		return nil, err
	}
	if n, err := io.Copy(&i.out, io.LimitReader(i.r, int64(size)+1)); err != nil || uint64(n) != size {
		return nil, errMalformed
	}
	return i.out.Bytes(), nil
}
