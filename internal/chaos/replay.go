package chaos

import (
	"encoding/hex"

	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/watchcheck"
)

// transactionOf is a transaction as the validator takes it.
func transactionOf(t *fsm.Transaction) watchcheck.Transaction {
	w := watchcheck.Transaction{PreviousHash: hex.EncodeToString(t.PreviousHash[:])}
	w.Revision, w.Kind, w.TransactionID, w.Timestamp = t.Revision, t.Kind.String(), t.ID, t.Timestamp
	w.Payload, w.Hash = string(t.Payload()), hex.EncodeToString(t.Hash[:])
	for _, c := range t.Changes {
		w.Changes = append(w.Changes, watchcheck.Change{
			EntityID: c.EntityID, OldVersion: c.OldVersion, NewVersion: c.NewVersion, DisplayName: c.DisplayName,
		})
	}
	return w
}
