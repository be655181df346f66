package cluster

import (
	"testing"

	"github.com/tesd/tesd/fsm"
)

func TestMarks(t *testing.T) {
	hash := func(n int) fsm.Hash { return fsm.Hash{byte(n), byte(n >> 8)} }
	var m marks
	if _, ok := m.newest(); ok {
		t.Error("there is a newest mark before the first")
	}
	wantAt := func(index uint64, want int, known bool) {
		t.Helper()
		if got, ok := m.at(index); ok != known || ok && got != hash(want) {
			t.Errorf("at %d is %x, %v", index, got[:2], ok)
		}
	}
	wantAt(0, 0, false)
	const entries = 2*keptMarks + 7
	for i := 1; i <= entries; i++ {
		m.add(mark{uint64(2 * i), hash(i)}) // what is not a command lies between
		if i == 3 {
			wantAt(1, 0, false)
			wantAt(2, 1, true)
			wantAt(5, 2, true) // as after the command below it
			wantAt(6, 3, true)
			wantAt(7, 0, false) // an entry that is not applied yet may be a command
		}
	}
	if k, ok := m.newest(); !ok || k.index != 2*entries || k.hash != hash(entries) {
		t.Errorf("the newest is %v, %v", k, ok)
	}
	const oldest = entries - keptMarks + 1
	wantAt(2*oldest-1, 0, false)
	wantAt(2*oldest, oldest, true)
	wantAt(2*oldest+1, oldest, true)
	wantAt(2*entries, entries, true)
	m.restart(mark{40, hash(7)})
	wantAt(2*entries, 0, false)
	wantAt(40, 7, true)
	m.add(mark{43, hash(8)})
	wantAt(42, 7, true)
	wantAt(43, 8, true)
}

// TestVerdict holds the rules to what each node of a cluster concludes. A state is a letter;
// the leader's is in capitals, those that do not answer are missing.
func TestVerdict(t *testing.T) {
	const a, b = confirmed, outvoted
	for _, c := range []struct {
		own    byte
		others string
		voters int
		want   verdict
	}{
		{'a', "Aa", 3, a}, {'A', "aa", 3, a},
		{'b', "Aa", 3, b}, {'B', "aa", 3, b}, // the leader, too
		{'a', "Ab", 3, a}, {'a', "Ba", 3, a}, {'A', "ba", 3, a}, // another differs
		{'a', "A", 3, a}, {'A', "a", 3, a}, // two of three
		{'b', "A", 3, unlikeLeader}, {'A', "b", 3, undecided},
		{'b', "a", 3, undecided}, // nobody leads, as far as they say
		{'b', "Ac", 3, unlikeLeader}, {'A', "bc", 3, undecided},
		{'b', "A", 2, unlikeLeader}, {'A', "b", 2, undecided}, {'a', "A", 2, a},
		{'b', "Aac", 5, unlikeLeader}, {'b', "Aaa", 5, b}, {'b', "Baac", 5, undecided}, {'a', "Bbac", 5, unlikeLeader},
		{'-', "A", 1, b}, {'+', "Aa", 3, b}, {'+', "A", 3, unlikeLeader}, // without a vote, and another state
		{'.', "Aa", 3, a}, {'.', "A", 3, undecided}, // without a vote, and the state that a stands for
	} {
		state := func(letter byte) fsm.Hash { return fsm.Hash{letter | 0x20} }
		k := check{own: mark{7, state(c.own)}, voters: c.voters, term: 5, votes: true, leads: c.own < 'a'}
		if c.own < 'A' {
			k.votes, k.leads = false, false
			if c.own == '.' {
				k.own.hash = state('a')
			}
		}
		for i := range len(c.others) {
			k.answers = append(k.answers, stateReply{Hash: state(c.others[i]), Leads: c.others[i] < 'a', Term: 5})
		}
		if got := k.verdict(); got != c.want {
			t.Errorf("%c beside %s, %d voters: verdict %d, want %d", c.own, c.others, c.voters, got, c.want)
		}
		k.term++ // those who say that they lead do not any more
		if got := k.verdict(); got == unlikeLeader {
			t.Errorf("%c beside %s, %d voters: it follows a leader of the past", c.own, c.others, c.voters)
		}
	}
}

// TestAnswersThatDoNotCount changes one thing at a time of an answer that does.
func TestAnswersThatDoNotCount(t *testing.T) {
	good := stateReply{ID: "n2@1", ClusterID: "c", Format: fsm.StateHashFormat, Index: 7, Known: true}
	if !counts(good, "n2@1", 7, "c") {
		t.Error("a good answer does not count")
	}
	for name, change := range map[string]func(*stateReply){
		"another life of the node": func(r *stateReply) { r.ID = "n2@2" },
		"another cluster":          func(r *stateReply) { r.ClusterID = "d" },
		"another kind of hash":     func(r *stateReply) { r.Format++ },
		"another index":            func(r *stateReply) { r.Index++ },
		"not known":                func(r *stateReply) { r.Known = false },
	} {
		bad := good
		if change(&bad); counts(bad, "n2@1", 7, "c") {
			t.Errorf("%s: it counts", name)
		}
	}
}
