package client_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tesd/tesd/client"
)

var key = []byte("0123456789abcdef0123456789abcdef")

func mac(key []byte, data string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(data))
	return hex.EncodeToString(m.Sum(nil))
}

func sum(data string) string {
	s := sha256.Sum256([]byte(data))
	return hex.EncodeToString(s[:])
}

// seal makes hash and signature of an event's payload.
func seal(e *client.Event) {
	e.Hash, e.Signature, e.KeyID = sum(e.Payload), mac(key, e.Payload), mac(key, "tesd key id v1")[:16]
}

// history makes n transactions as a cluster signs them, the last of them after it was restored.
func history(t *testing.T, n int) []client.Event {
	t.Helper()
	events, previous := []client.Event{}, strings.Repeat("0", 64)
	for i := range n {
		version := fmt.Sprintf("1.0.%d", i)
		e := client.Event{
			Revision: uint64(i + 1), Kind: "bump", TransactionID: fmt.Sprintf("t%d", i), Timestamp: int64(1000 + i),
			Actor: "anonymous", HSL: "#9D4EDD",
			Changes: []client.Change{{EntityID: "a", OldVersion: &version, NewVersion: new(version + "0"), DisplayName: "A"}},
		}
		if i == 0 {
			e.Kind, e.Changes[0].OldVersion = "put", nil
		}
		cluster := "c1"
		if i == n-1 {
			cluster = "c2"
		}
		payload, err := json.Marshal(map[string]any{ // in order of the names, as RFC 8785 has it
			"clusterId": cluster, "registryId": "r", "revision": e.Revision, "kind": e.Kind,
			"transactionId": e.TransactionID, "timestamp": e.Timestamp, "actor": e.Actor,
			"request": map[string]any{"scope": "patch"}, "changes": e.Changes, "previousHash": previous,
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Payload = string(payload)
		seal(&e)
		previous = e.Hash
		events = append(events, e)
	}
	return events
}

func TestVerifyHistory(t *testing.T) {
	whole := history(t, 4)
	tests := []struct {
		name   string
		key    []byte
		events []client.Event
		want   client.Verified
	}{
		{"nothing", key, nil, client.Verified{}},
		{"whole", key, whole, client.Verified{
			Receipts: 4, RegistryID: "r", ClusterID: "c2", First: 1, Last: 4, Head: whole[3].Hash, Signatures: true, Complete: true,
		}},
		{"without a key", nil, whole, client.Verified{
			Receipts: 4, RegistryID: "r", ClusterID: "c2", First: 1, Last: 4, Head: whole[3].Hash, Complete: true,
		}},
		{"from the middle", key, whole[1:3], client.Verified{
			Receipts: 2, RegistryID: "r", ClusterID: "c1", First: 2, Last: 3, Head: whole[2].Hash, Signatures: true,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := client.Verifier{Key: test.key}.VerifyHistory(test.events)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("verified (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTampering changes one thing of a history at a time; resigned makes it one who has the key do it.
func TestTampering(t *testing.T) {
	edit := func(i int, old, new string) func([]client.Event) []client.Event {
		return func(events []client.Event) []client.Event {
			if !strings.Contains(events[i].Payload, old) {
				panic("nothing to edit")
			}
			events[i].Payload = strings.Replace(events[i].Payload, old, new, 1)
			return events
		}
	}
	resigned := func(i int, edit func([]client.Event) []client.Event) func([]client.Event) []client.Event {
		return func(events []client.Event) []client.Event {
			events = edit(events)
			seal(&events[i])
			return events
		}
	}
	set := func(change func(*client.Event)) func([]client.Event) []client.Event {
		return func(events []client.Event) []client.Event {
			change(&events[1])
			return events
		}
	}
	tests := []struct {
		name     string
		tamper   func([]client.Event) []client.Event
		revision uint64
		reason   string
		unkeyed  bool // found without the key too
	}{
		{"payload", edit(1, "1.0.10", "1.0.99"), 2, "hash", true},
		{"payload and hash", func(events []client.Event) []client.Event {
			events = edit(3, `"scope":"patch"`, `"scope":"major"`)(events)
			events[3].Hash = sum(events[3].Payload)
			return events
		}, 4, "signature", false},
		{"hash", set(func(e *client.Event) { e.Hash = strings.ToUpper(e.Hash) }), 2, "hash", true},
		{"signature", set(func(e *client.Event) { e.Signature = mac([]byte("another"), e.Payload) }), 2, "signature", false},
		{"no signature", set(func(e *client.Event) { e.Signature = "" }), 2, "signature", false},
		{"key id", set(func(e *client.Event) { e.KeyID = "0011223344556677" }), 2, "names key", false},
		{"no payload", set(func(e *client.Event) { e.Payload = "" }), 2, "without its receipt", true},
		{"not JSON", resigned(1, edit(1, "{", "[")), 2, "cannot be read", true},
		{"revision", set(func(e *client.Event) { e.Revision = 9 }), 9, "of revision 2", true},
		{"kind", set(func(e *client.Event) { e.Kind = "put" }), 2, "kind", true},
		{"transaction id", set(func(e *client.Event) { e.TransactionID = "t9" }), 2, "transactionId", true},
		{"timestamp", set(func(e *client.Event) { e.Timestamp++ }), 2, "timestamp", true},
		{"actor", set(func(e *client.Event) { e.Actor = "root" }), 2, "actor", true},
		{"changed version", set(func(e *client.Event) { e.Changes[0].NewVersion = new("9.9.9") }), 2, "changes", true},
		{"lost version", set(func(e *client.Event) { e.Changes[0].OldVersion = nil }), 2, "changes", true},
		{"lost change", set(func(e *client.Event) { e.Changes = nil }), 2, "changes", true},
		{"renamed", set(func(e *client.Event) { e.Changes[0].DisplayName = "B" }), 2, "changes", true},
		{"left out", func(events []client.Event) []client.Event { return slices.Delete(events, 1, 2) }, 3, "follows revision 1", true},
		{"twice", func(events []client.Event) []client.Event { return slices.Insert(events, 1, events[0]) }, 1, "follows revision 1", true},
		{"swapped", func(events []client.Event) []client.Event {
			events[1], events[2] = events[2], events[1]
			return events
		}, 3, "follows revision 1", true},
		{"written anew", resigned(1, edit(1, `"scope":"patch"`, `"scope":"major"`)), 3, "hash of revision 2", true},
		{"another registry", resigned(3, edit(3, `"registryId":"r"`, `"registryId":"s"`)), 4, `registry "s"`, true},
		{"a first with one before", resigned(0, edit(0, "00000000", "00000001")), 1, "first", true},
		{"revision 0", func(events []client.Event) []client.Event {
			events[0].Revision = 0
			return resigned(0, edit(0, `"revision":1`, `"revision":0`))(events)
		}, 0, "no such revision", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			events := test.tamper(history(t, 4))
			done, err := client.Verifier{Key: key}.VerifyHistory(events)
			got, ok := errors.AsType[*client.VerificationError](err)
			if !ok || !errors.Is(err, client.ErrVerification) {
				t.Fatalf("got %v, want a verification error", err)
			}
			if got.Revision != test.revision || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("got %v, want %q of revision %d", err, test.reason, test.revision)
			}
			if done.Receipts > 0 && done.Head != events[done.Receipts-1].Hash {
				t.Errorf("verified up to %+v", done)
			}
			if _, err := (client.Verifier{}).VerifyHistory(events); (err != nil) != test.unkeyed {
				t.Errorf("without a key: got %v, want an error: %t", err, test.unkeyed)
			}
		})
	}
}

func TestVerifyReceipt(t *testing.T) {
	e := history(t, 2)[1]
	good := client.Receipt{
		RegistryID: "r", Revision: 2, Payload: e.Payload, Hash: e.Hash, Signature: e.Signature, KeyID: e.KeyID,
	}
	got, err := client.Verifier{Key: key}.VerifyReceipt(good)
	want := client.Verified{Receipts: 1, RegistryID: "r", ClusterID: "c2", First: 2, Last: 2, Head: e.Hash, Signatures: true}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := (client.Verifier{}).VerifyReceipt(good); err != nil || got.Signatures {
		t.Errorf("without a key: got %+v, %v", got, err)
	}
	for name, tamper := range map[string]func(*client.Receipt){
		"registry":  func(r *client.Receipt) { r.RegistryID = "s" },
		"revision":  func(r *client.Receipt) { r.Revision = 3 },
		"payload":   func(r *client.Receipt) { r.Payload += " " },
		"hash":      func(r *client.Receipt) { r.Hash = "" },
		"signature": func(r *client.Receipt) { r.Signature = strings.Repeat("0", 64) },
		"key id":    func(r *client.Receipt) { r.KeyID = "" },
	} {
		bad := good
		tamper(&bad)
		if got, err := (client.Verifier{Key: key}).VerifyReceipt(bad); !errors.Is(err, client.ErrVerification) || got.Receipts != 0 {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, client.ErrVerification)
		}
	}
}

func TestKeyID(t *testing.T) {
	// printf 'tesd key id v1' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
	if got, want := client.KeyID(key), "1a0200ec3dd906af"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
