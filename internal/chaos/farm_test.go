package chaos_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

// A bubble keeps one core busy, hardly more: its goroutines wake one another all the time. Each core
// has a process of its own, then, whose goroutines never change it, and which is given one seed after
// the other. One that crashes costs the seed that it had.

// outcome is what came of a seed of bumps.
type outcome struct {
	Seed   uint64
	Report *chaos.Report // nil if it came to no end; without the errors, which Found has
	Found  []string      // violations and failures
}

// runSeed runs a seed of bumps.
func runSeed(t *testing.T, seed uint64) outcome {
	o := outcome{Seed: seed}
	synctest.Test(t, func(t *testing.T) { o.Report = chaos.RunBumps(t, bumpOptions(seed)) })
	for _, err := range append(o.Report.Violations, o.Report.Failures...) {
		o.Found = append(o.Found, err.Error())
	}
	o.Report.Violations, o.Report.Failures = nil, nil
	return o
}

// farm has processes run seeds until there are no more, and passes on what came of each.
func farm(t *testing.T, processes int, seeds func() (seed uint64, ok bool), each func(outcome)) {
	var mu sync.Mutex // of seeds and each
	var group sync.WaitGroup
	for range processes {
		group.Go(func() {
			var w *worker
			defer func() { w.end() }()
			for {
				mu.Lock()
				seed, ok := seeds()
				mu.Unlock()
				if !ok {
					return
				}
				if w == nil {
					var err error
					if w, err = hire(*memory); err != nil {
						t.Error(err)
						return
					}
				}
				o, err := w.run(seed)
				if err != nil {
					o, w = outcome{Seed: seed, Found: []string{fmt.Sprintf("it came to no end: %v", err)}}, nil
				}
				mu.Lock()
				each(o)
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// seedTakes bounds how long a seed may take.
const seedTakes = 10 * time.Minute

// worker is a process that runs [TestWorker].
type worker struct {
	cmd  *exec.Cmd
	tell io.WriteCloser
	told *os.File // the reports
	hear *json.Decoder
	said *os.File // what it writes to its standard output and error
}

// hire starts a worker, which may hold so many MB of memory.
func hire(memory int) (*worker, error) {
	r, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	said, err := os.CreateTemp("", "chaos-worker-*.log")
	if err != nil {
		return nil, err
	}
	w := &worker{
		cmd: exec.Command(os.Args[0], "-test.run=^TestWorker$", "-test.timeout=0", "-chaos.worker",
			fmt.Sprint("-chaos.storms=", *storms), fmt.Sprint("-chaos.memory=", memory)),
		hear: json.NewDecoder(r), told: r, said: said,
	}
	w.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOTRACEBACK=all")
	w.cmd.Stdout, w.cmd.Stderr, w.cmd.ExtraFiles = said, said, []*os.File{theirs}
	if w.tell, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return w, w.cmd.Start()
}

// run has the worker run a seed. If it comes to no end, the error says how the worker ended.
func (w *worker) run(seed uint64) (o outcome, err error) {
	var late atomic.Bool
	stop := time.AfterFunc(seedTakes, func() {
		late.Store(true)
		w.cmd.Process.Signal(syscall.SIGQUIT) // it says where it is
	})
	defer stop.Stop()
	kill := time.AfterFunc(seedTakes+time.Minute, func() { w.cmd.Process.Kill() })
	defer kill.Stop()
	if _, err = fmt.Fprintln(w.tell, seed); err == nil {
		err = w.hear.Decode(&o)
	}
	if err == nil {
		return o, nil
	}
	how := w.close()
	if late.Load() {
		how = fmt.Sprintf("it took longer than %v: %s", seedTakes, how)
	}
	return o, fmt.Errorf("%s\n%s\nall that it said is in %s", how, excerpt(w.said.Name()), w.said.Name())
}

// close waits for the end of the worker, which has nothing more to do, and returns how it ended.
func (w *worker) close() (how string) {
	w.tell.Close()
	w.cmd.Wait() // how it ended is told by its state
	w.told.Close()
	w.said.Close()
	return w.cmd.ProcessState.String()
}

// end is close for a worker that came to no harm.
func (w *worker) end() {
	if w == nil {
		return
	}
	w.close()
	os.Remove(w.said.Name())
}

// excerpt returns the beginning of a file, where a process that ends says why, and its end.
func excerpt(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	const first, last = 60, 20
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if n := len(lines); n > first+last {
		lines = slices.Concat(lines[:first], []string{fmt.Sprintf("(%d lines left out)", n-first-last)}, lines[n-last:])
	}
	return strings.Join(lines, "\n")
}

// TestWorker is what a process of a farm runs: the seeds that its standard input names.
func TestWorker(t *testing.T) {
	if !*isWorker {
		t.Skip("it is for the processes that TestBumps starts with -chaos.jobs")
	}
	bound(t, uint64(*memory)<<20)
	report := json.NewEncoder(os.NewFile(3, "reports"))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var seed uint64
		if _, err := fmt.Sscan(in.Text(), &seed); err != nil {
			t.Fatal(err)
		}
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if err := report.Encode(runSeed(t, seed)); err != nil {
				t.Fatal(err)
			}
		})
		if !ok { // whoever waits for the report need not wait
			return
		}
	}
}

// TestFarmTellsHowAWorkerEnded has workers end early, for which there must be a reason.
func TestFarmTellsHowAWorkerEnded(t *testing.T) {
	tests := []struct {
		name   string
		memory int
		end    func(*os.Process) error
		says   []string
	}{
		{"killed", 2048, (*os.Process).Kill, []string{"signal: killed"}},
		{"told to say where it is", 2048, func(p *os.Process) error { return p.Signal(syscall.SIGQUIT) }, []string{"exit status 2", "SIGQUIT", "goroutine"}},
		{"out of memory", 1, func(*os.Process) error { return nil },
			[]string{fmt.Sprint("exit status ", ranAway), "more than 1\n", "were busy", "most of the memory", "goroutine"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w, err := hire(test.memory)
			if err != nil {
				t.Fatal(err)
			}
			defer os.Remove(w.said.Name())
			if test.memory > 1 {
				if _, err := w.run(1); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.end(w.cmd.Process); err != nil {
				t.Fatal(err)
			}
			if _, err = w.run(2); err == nil {
				t.Fatal("it ran a seed to its end")
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not among what is told of it: %v", want, err)
				}
			}
		})
	}
}
