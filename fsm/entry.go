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
		packed = append(packed, deflate(buf[headerSize:])...)
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

// deflate compresses src. The level trades little size for half the time.
func deflate(src []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed) // fails on an unknown level only
	w.Write(src)                                   // a bytes.Buffer does not fail
	w.Close()
	return out.Bytes()
}

// inflate returns the size bytes that src holds compressed, and an error if it
// holds fewer or more.
func inflate(src []byte, size uint64) ([]byte, error) {
	if size > maxBody {
		return nil, errMalformed
	}
	var out bytes.Buffer
	if n, err := io.Copy(&out, io.LimitReader(flate.NewReader(bytes.NewReader(src)), int64(size)+1)); err != nil || uint64(n) != size {
		return nil, errMalformed
	}
	return out.Bytes(), nil
}
