package httpapi

import (
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"time"
)

// backupType is the media type of a backup.
const backupType = "application/octet-stream"

// stall is how long a caller may take nothing of an answer that is written piece by piece.
const stall = 30 * time.Second

// backup answers the whole state, every registry with its history and all idempotency keys,
// as of one moment. Writes go on meanwhile.
func (s *Server) backup(c *call) (*answer, error) {
	view, err := c.readAll()
	if err != nil {
		return nil, err
	}
	hash := view.StateHash()
	h := c.w.Header()
	h.Set("Tes-Applied-Index", strconv.FormatUint(view.Index(), 10))
	h.Set("Tes-State-Hash", hex.EncodeToString(hash[:]))
	return &answer{contentType: backupType, stream: func(w io.Writer) error {
		_, err := view.WriteTo(w)
		return err
	}}, nil
}

// patient is the body of an answer that may take as long as it likes, but not stand still.
type patient struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (p patient) Write(b []byte) (int, error) {
	p.rc.SetWriteDeadline(time.Now().Add(stall)) // what has no deadlines has no connection to lose
	return p.w.Write(b)
}
