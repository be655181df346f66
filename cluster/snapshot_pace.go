package cluster

import (
	"context"
	"io"
	"time"
)

// A snapshot is encoded and written beside everything else that a node does, and nobody waits for it. At full speed
// it takes a core for itself, and bumps wait for that.
const (
	pacePiece = 256 << 10 // bytes, after which it rests
	paceRests = 3         // as long as the piece took, so that a quarter of a core remains
	paceLimit = 20 * time.Millisecond
)

// pacedWriter is a writer that takes its time, until leisure ends.
type pacedWriter struct {
	to      io.Writer
	leisure context.Context
	piece   int       // bytes since the last rest
	began   time.Time // when that was over
}

func newPacedWriter(to io.Writer, leisure context.Context) *pacedWriter {
	return &pacedWriter{to: to, leisure: leisure, began: time.Now()}
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
