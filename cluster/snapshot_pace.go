package cluster

import (
	"context"
	"io"
	"time"
)

// A snapshot is encoded and written beside everything else that a node does, and nobody waits for it. At full speed
// it takes a core for itself, for which bumps would wait. So it rests after each piece, three times as long as that
// took: it takes a quarter of a core. Where a piece takes long, because the disk is slow or the node has much else
// to do, it rests less, or a large snapshot would not be done in time.
const (
	pacePiece = 256 << 10 // bytes
	paceRests = 3
	paceLimit = 20 * time.Millisecond
)

// pacedWriter is a writer that takes its time, until leisure ends.
type pacedWriter struct {
	leisure context.Context
	to      io.Writer
	piece   int       // bytes since the last rest
	began   time.Time // when that was over
}

func newPacedWriter(leisure context.Context, to io.Writer) *pacedWriter {
	return &pacedWriter{leisure: leisure, to: to, began: time.Now()}
}

// Write writes, and then rests if it is time.
func (w *pacedWriter) Write(p []byte) (n int, err error) {
	n, err = w.to.Write(p)
	if w.piece += n; err != nil || w.piece < pacePiece {
		return n, err
	}
	pause(w.leisure, min(paceRests*time.Since(w.began), paceLimit))
	w.piece, w.began = 0, time.Now()
	return n, nil
}
