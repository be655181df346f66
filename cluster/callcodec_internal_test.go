package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// messages are pointers to one of each kind of message, every field of which is set.
func messages() []any {
	n1 := founder{ID: "n1", Address: "10.0.0.1:9001", Incarnation: "0123456789abcdef"}
	return []any{
		&proposeCall{To: "n1.a", From: "n2", Commands: [][]byte{{1}, bytes.Repeat([]byte("x"), 300)}, Reach: []int{0, 100_000}, Requests: []string{"", "r-1"}},
		&proposeReply{Outcomes: []forwarded{{Result: []byte("result")}, {Fault: faultBusy, Detail: "too many"}}},
		&readIndexCall{From: "n2.b", Term: 1<<64 - 1},
		&readIndexReply{Index: 300, Fault: faultNotReady, Detail: "not yet"},
		&termCall{},
		&termReply{ID: "n1.a", Term: 1 << 63},
		&statusCall{},
		&statusReply{ID: "n1.a", Status: Status{
			NodeID: "n1", HTTPAddress: "10.0.0.1:8001", ClusterID: "c", Role: Leader, Leader: "n1", Term: 1<<53 + 1, CommitIndex: 1<<64 - 1,
			AppliedIndex: 3, StateHash: "00ff", StorageFull: true, SnapshotsFailed: 4, Fault: "<why>", Diverged: true,
			Compared: Comparison{Checks: 1, Mismatches: 2, Index: 3},
		}},
		&probeCall{Decider: n1},
		&probeReply{Self: n1, Initialised: true, Founders: []founder{n1, n1}, ClusterID: "c", Led: true,
			Members: []raft.Server{{Suffrage: raft.Nonvoter, ID: "n3.c", Address: "10.0.0.3:9001"}}},
		&stateCall{Index: 1<<64 - 1},
		&stateReply{ID: "n1.a", ClusterID: "c", Format: 1, Index: 2, Hash: fsm.Hash{1, 31: 255}, Known: true, Term: 3, Leads: true},
		&changeCall{To: "n1.a", Kind: removeNode, NodeID: "n2", Address: "10.0.0.2:9001", Replace: true},
		&changeReply{Fault: faultConflict, Detail: "why"},
	}
}

func mustAppend(t testing.TB, m any) []byte {
	t.Helper()
	b, err := appendMessage(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// blank returns a pointer to a message of m's type with nothing in it.
func blank(m any) any { return reflect.New(reflect.TypeOf(m).Elem()).Interface() }

// TestMessages sends each kind of message, with all that it can say and with nothing.
func TestMessages(t *testing.T) {
	for _, full := range messages() {
		for _, m := range []any{full, blank(full)} {
			got := blank(m)
			if err := decodeMessage(mustAppend(t, m), got); err != nil {
				t.Errorf("%T: %v", m, err)
			}
			if diff := cmp.Diff(m, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%T (-sent +received):\n%s", m, diff)
			}
		}
		v := reflect.ValueOf(full).Elem()
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%T: %s is not tried", full, v.Type().Field(i).Name)
			}
		}
	}
}

// TestCutMessages cuts each message off at each byte, and adds one.
func TestCutMessages(t *testing.T) {
	for _, m := range messages() {
		whole := mustAppend(t, m)
		for size := range len(whole) {
			if err := decodeMessage(whole[:size], blank(m)); !errors.Is(err, errMalformed) {
				t.Errorf("%T: the first %d of %d bytes: %v", m, size, len(whole), err)
			}
		}
		if err := decodeMessage(append(whole, 0), blank(m)); !errors.Is(err, errMalformed) {
			t.Errorf("%T: with one byte more: %v", m, err)
		}
	}
}

// TestForgedMessages has messages that lie about their size, with enough behind them that a
// reader who takes no care would believe them.
func TestForgedMessages(t *testing.T) {
	numbers := func(prefix string, more int, n ...uint64) []byte {
		b := []byte(prefix)
		for _, n := range n {
			b = binary.AppendUvarint(b, n)
		}
		return append(b, make([]byte, more)...)
	}
	const nobody = "\x00\x00" // from whom and to whom
	for _, c := range []struct {
		name string
		body []byte
		m    any
	}{
		{"more commands than an entry holds", numbers(nobody, 3*(fsm.MaxCommands+1), fsm.MaxCommands+1), &proposeCall{}},
		{"more commands than bytes", numbers(nobody, 10, 1000), &proposeCall{}},
		{"commands without number", numbers(nobody, 10, 1<<63), &proposeCall{}},
		{"a command longer than all", numbers(nobody, 20, 1, 21), &proposeCall{}},
		{"a command without end", numbers(nobody, 20, 1, 1<<64-1), &proposeCall{}},
		{"a command that reaches too far", numbers(nobody, 1, 1, 0, 1<<31), &proposeCall{}},
		{"a number of more than 64 bits", append([]byte(nobody), bytes.Repeat([]byte{255}, 12)...), &proposeCall{}},
		{"more outcomes than commands", numbers("", 3*(fsm.MaxCommands+1), fsm.MaxCommands+1), &proposeReply{}},
		{"more outcomes than bytes", numbers("", 10, 1000), &proposeReply{}},
		{"a result longer than all", numbers("", 20, 1, 0, 0, 21), &proposeReply{}},
		{"a name longer than all", numbers("", 3, 4), &readIndexCall{}},
		{"what is no JSON", []byte("\x01\x02"), &statusReply{}},
		{"other JSON", []byte(`{"Index":-1}`), &stateCall{}},
		{"deep JSON", bytes.Repeat([]byte("["), 1<<20), &stateReply{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			took := allocated(func() {
				if err := decodeMessage(c.body, c.m); !errors.Is(err, errMalformed) {
					t.Errorf("it was taken for a message: %v", err)
				}
			})
			if most := uint64(4<<20 + len(c.body)); took > most {
				t.Errorf("it took %d bytes of memory, want %d at most", took, most)
			}
		})
	}
}

// allocated returns how much memory do takes, with what others take meanwhile.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzMessages reads anything as each kind of message. What can be read can be sent on.
func FuzzMessages(f *testing.F) {
	for i, m := range messages() {
		f.Add(byte(i), mustAppend(f, m))
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		kinds := messages()
		m := blank(kinds[int(kind)%len(kinds)])
		if err := decodeMessage(b, m); err != nil {
			if !errors.Is(err, errMalformed) {
				t.Errorf("%T: %v", m, err)
			}
			return
		}
		again := blank(m)
		if err := decodeMessage(mustAppend(t, m), again); err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if diff := cmp.Diff(m, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%T (-read +read again):\n%s", m, diff)
		}
	})
}
