package lan

import (
	"net/netip"
	"slices"
	"time"
)

// A packet is on its way.
type packet struct {
	due  time.Time
	data []byte
}

// largestPacket is more than the devices pass on: they split what is longer than 1,500 bytes.
const largestPacket = 2048

// forward passes on what one machine sends to others, until its device is closed.
func (l *LAN) forward(from *Machine, links map[netip.Addr]*link) {
	for _, k := range links {
		defer close(k.queue)
		l.group.Go(k.deliver)
	}
	buffer := make([]byte, largestPacket)
	for {
		n, err := from.device.Read(buffer)
		if err != nil {
			return
		}
		to, ok := destination(buffer[:n])
		if k := links[to]; ok && k != nil {
			l.send(k, slices.Clone(buffer[:n]))
		}
	}
}

// send has a link's impairments decide what becomes of a packet.
func (l *LAN) send(k *link, data []byte) {
	f := k.fate()
	for range f.copies {
		if late := f.delay + below(f.jitter); f.jitter > 0 {
			// Whatever is in the queue waits for what is before it; this is to overtake.
			l.group.Add(1)
			time.AfterFunc(late, func() { defer l.group.Done(); k.write(data) })
		} else {
			k.queue <- packet{time.Now().Add(late), data} // when it is full, the device drops, as a switch would
		}
	}
}

// destination reads where an IPv4 packet goes to; of others it returns false.
func destination(data []byte) (netip.Addr, bool) {
	if len(data) < 20 || data[0]>>4 != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(data[16:20])), true
}

// deliver gives a machine what comes over a link, in order, when it is due.
func (k *link) deliver() {
	w := newWaiter()
	for p := range k.queue {
		w.until(p.due)
		k.write(p.data)
	}
}

// write gives a packet to the machine, which loses it if it is gone or cannot keep up.
func (k *link) write(data []byte) { _, _ = k.to.device.Write(data) }
