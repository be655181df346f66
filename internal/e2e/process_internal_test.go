package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEndedBeforeItWasKilled has processes killed that have ended by themselves, and some that have not.
func TestEndedBeforeItWasKilled(t *testing.T) {
	const waits = "echo begun; exec sleep 60"
	tests := []struct {
		name, script string
		disk         bool // it is tampered with
		want         string
	}{
		{"killed", waits, false, ""},
		{"killed while its disk is tampered with", waits, true, ""},
		{"panicked", "echo panic: a bug; exit 2", false, "it ended by itself with exit code 2"},
		{"panicked while its disk is tampered with", "echo panic: a bug; exit 2", true, "it ended by itself with exit code 2"},
		{"stopped", "echo panic: a bug; exit 0", false, "it ended by itself with exit code 0"},
		{"disk failed", "exit 9", true, ""},
		{"disk failed by itself", "echo panic: a bug; exit 9", false, "it ended by itself with exit code 9"},
		{"killed by the system", "echo panic: a bug; kill -9 $$", false, "it was not killed by the test"},
		{"another signal", "echo panic: a bug; kill -15 $$", true, "it was not killed by the test"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log, err := os.Create(filepath.Join(t.TempDir(), "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			n := &Node{ID: "n1", log: log}
			if n.process, err = StartProcess("sh", log, "-c", test.script); err != nil {
				t.Fatal(err)
			}
			if test.disk {
				n.process.MayFail()
			}
			if test.script != waits {
				<-n.process.Exited()
			}
			err = kill(n)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), "n1: "+test.want) || !strings.Contains(err.Error(), "panic: a bug")):
				t.Errorf("got %v, want %q and the log", err, test.want)
			case n.process != nil:
				t.Error("the process is not forgotten")
			}
		})
	}
}

// TestTail has the end of a log shown in whole lines.
func TestTail(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.WriteString("first\nsecond\nthird\n"); err != nil {
		t.Fatal(err)
	}
	n := &Node{log: log}
	for most, want := range map[int]string{100: "first\nsecond\nthird", 15: "second\nthird", 10: "third"} {
		if got := string(n.tail(most)); got != want {
			t.Errorf("of %d bytes at most: %q, want %q", most, got, want)
		}
	}
}
