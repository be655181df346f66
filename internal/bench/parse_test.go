package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseMessage(t *testing.T) {
	for text, want := range map[string]wsMessage{
		`{"type":"event","revision":42,"kind":"bump"}`:                  {"event", 42},
		`{"type":"event","revision":7}`:                                 {"event", 7},
		`{"kind":"bump","revision":8,"type":"event"}`:                   {"event", 8},
		`{"type":"event","revision": 9}`:                                {"event", 9},
		`{"type":"event","revision":1234567890123456789,"kind":"bump"}`: {"event", 1234567890123456789},
		`{"type":"ping","timestamp":5}`:                                 {"ping", 0},
	} {
		if got, err := parseMessage([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %v, %v; not %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		``, `{`, `{"type":"event","revision":12`, `{"type":"event","revision":"12"}`, `{"type":"event","revision":1x}`, `{"type":"event","revision":}`,
	} {
		if got, err := parseMessage([]byte(text)); err == nil {
			t.Errorf("%s is no message, but was read as %v", text, got)
		}
	}
}

func TestParseStat(t *testing.T) {
	// A name can hold what else separates the fields.
	text := "123 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 250 75 13 14 15 16 17 18 19 20 1000 22 23"
	got, err := parseStat([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got.user != 2500*time.Millisecond || got.system != 750*time.Millisecond || got.rss < 1000*4096 {
		t.Errorf("the usage: %+v", got)
	}
	for _, text := range []string{"", "123 (a) S 1 2", "123 (a) S 1 2 3 4 5 6 7 8 9 10 x 75 13 14 15 16 17 18 19 20 1000"} {
		if _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if u, err := usageOf(os.Getpid()); err != nil || u.rss == 0 || u.cpu == 0 {
		t.Errorf("the usage of this process: %+v, %v", u, err)
	}
}

func TestParseEtcdVersion(t *testing.T) {
	text := "etcd Version: 3.4.23\nGit SHA: Not provided\nGo Version: go1.19.8\nGo OS/Arch: linux/amd64\n"
	if got := parseEtcdVersion(text); got != "3.4.23 (go1.19.8)" {
		t.Errorf("the version: %s", got)
	}
	if got := parseEtcdVersion("what?"); got != "unknown" {
		t.Errorf("the version of nothing: %s", got)
	}
}

func TestParseWatch(t *testing.T) {
	o, err := parseWatch([]string{"--rate", "50", "--duration=3s", "--follower"})
	if err != nil || o.rate != 50 || o.duration != 3*time.Second || !o.follower || o.workers != 64 {
		t.Errorf("the options: %+v, %v", o, err)
	}
	for _, args := range [][]string{{"--rate", "0"}, {"--rate", "x"}, {"more"}, {"--idle", "--saturate"}, {"--duration", "-1s"}, {"--unknown"}} {
		if _, err := parseWatch(args); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestWatcherWantsEachRevisionOnce plants what a server must not do.
func TestWatcherWantsEachRevisionOnce(t *testing.T) {
	for _, c := range []struct {
		name      string
		revisions []int64
		good      int64
	}{
		{"in order", []int64{11, 12, 13}, 3},
		{"a gap", []int64{11, 13}, 1},
		{"twice", []int64{11, 11}, 1},
		{"out of order", []int64{12, 11}, 0},
		{"too early", []int64{10}, 0},
	} {
		w := newWatcher(10, 4)
		w.cancel = func() {}
		w.run(context.Background(), func() error {
			for _, r := range c.revisions {
				if err := w.receive(r, 1); err != nil {
					return err
				}
			}
			return nil
		})
		good := int64(len(c.revisions)) == c.good
		if w.count.Load() != c.good || (w.err == nil) != good {
			t.Errorf("%s: %d were taken, %v", c.name, w.count.Load(), w.err)
		}
		if err := closeAll([]*watcher{w}); err == nil {
			t.Errorf("%s: a watcher that ended by itself was not told of", c.name)
		}
	}
}

// TestWriterMakesUpForLateWrites has a server pause, and expects the writes that were due
// meanwhile to follow.
func TestWriterMakesUpForLateWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := int64(0)
		w := writeAll(t.Context(), writing{Rate: 200, Workers: 1, Duration: 300 * time.Millisecond}, func(context.Context) (int64, error) {
			if n++; n == 5 {
				<-time.After(100 * time.Millisecond)
			}
			if n == 7 {
				return 0, errors.New("refused")
			}
			return n, nil
		})
		if len(w.Writes) != 59 || w.Errors != 1 || w.Error != "refused" {
			t.Errorf("%d writes, %d errors (%s), not 59 and 1", len(w.Writes), w.Errors, w.Error)
		}
		for i, one := range w.Writes {
			if one.Sent < one.Due || one.Acked < one.Sent {
				t.Errorf("write %d was due at %d, sent at %d, acknowledged at %d", i, one.Due, one.Sent, one.Acked)
			}
		}
	})
}

func TestLatenciesLeaveTheWarmUpOut(t *testing.T) {
	w := newWatcher(5, 4)
	w.at = []int64{20, 110, 250}
	m := &sample{from: 100, watchers: []*watcher{w}, written: &written{Writes: []write{
		{10, 10, 15, 6}, {100, 100, 120, 7}, {200, 200, 210, 8}, {300, 300, 310, 9},
	}}}
	fromCommit, fromSend := m.latencies()
	if len(fromCommit) != 2 || fromCommit[0] != 0 || fromCommit[1] != 40 {
		t.Errorf("from commit: %v", fromCommit)
	}
	if len(fromSend) != 2 || fromSend[0] != 10 || fromSend[1] != 50 {
		t.Errorf("from send: %v", fromSend)
	}
}

func TestBehind(t *testing.T) {
	step := func(lost, p99, held float64) []figure {
		return []figure{{missing, "", lost}, {commitP99, "ms", p99}, {rateHeld, "", held}}
	}
	if why := behind(step(0, 900, 95), 100); why != "" {
		t.Errorf("a step that kept up is behind: %s", why)
	}
	for _, s := range [][]figure{step(1, 0, 100), step(0, 1001, 100), step(0, 0, 80)} {
		if behind(s, 100) == "" {
			t.Errorf("%v did not keep up", s)
		}
	}
}
