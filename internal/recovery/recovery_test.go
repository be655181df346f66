package recovery_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/recovery"
)

// rounds is set once, by the command line.
var rounds = flag.Int("recovery.rounds", 1, "how often to measure each recovery; above 1 a missed target is a failure")

// The targets. What takes place in virtual time needs no processor.
const (
	writesMedian = 1500 * time.Millisecond
	writesWorst  = 3 * time.Second
	readyWorst   = 5 * time.Second
	healedWorst  = 3 * time.Second
	hungWorst    = 12 * time.Second
)

// A writer of these tests sends a bump so often, and gives it so long.
const (
	every   = 5 * time.Millisecond
	timeout = time.Second
)

// patience bounds how long anything is waited for.
const patience = 30 * time.Second

// TestRecovery measures all of it and prints the table.
func TestRecovery(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs processes in real time, which takes ten seconds")
	}
	var rows []*recovery.Row
	t.Run("processes", func(t *testing.T) { rows = append(rows, measureProcesses(t)...) })
	t.Run("partitions", func(t *testing.T) { rows = append(rows, measurePartitions(t)...) })
	if *namespaces {
		t.Run("namespaces", func(t *testing.T) { rows = append(rows, measureNamespaces(t)...) })
	}
	if err := recovery.Print(os.Stdout, rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if missed := r.Missed(); missed != "" && *rounds > 1 {
			t.Errorf("%s: %s", r.Name, missed)
		}
	}
}
