package chaos_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
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
					if w, err = hire(); err != nil {
						t.Error(err)
						return
					}
				}
				o, err := w.run(seed)
				if err != nil {
					w.end()
					o, w = outcome{Seed: seed, Found: []string{fmt.Sprintf("it came to no end: %v\n%s", err, w.said.Bytes())}}, nil
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
	cmd   *exec.Cmd
	tell  io.WriteCloser
	hear  *json.Decoder
	pipes []*os.File
	said  bytes.Buffer
}

// hire starts a worker.
func hire() (*worker, error) {
	r, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	w := &worker{
		cmd:  exec.Command(os.Args[0], "-test.run=^TestWorker$", "-test.timeout=0", "-chaos.worker", fmt.Sprint("-chaos.storms=", *storms)),
		hear: json.NewDecoder(r), pipes: []*os.File{r},
	}
	w.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	w.cmd.Stdout, w.cmd.Stderr, w.cmd.ExtraFiles = &w.said, &w.said, []*os.File{theirs}
	if w.tell, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return w, w.cmd.Start()
}

// run has the worker run a seed. After an error the worker is of no more use.
func (w *worker) run(seed uint64) (o outcome, err error) {
	late := time.AfterFunc(seedTakes, func() { w.cmd.Process.Kill() })
	defer late.Stop()
	if _, err = fmt.Fprintln(w.tell, seed); err == nil {
		err = w.hear.Decode(&o)
	}
	return o, err
}

// end waits for the end of the worker, which has nothing more to do.
func (w *worker) end() {
	if w == nil {
		return
	}
	w.tell.Close()
	w.cmd.Wait() // what it has to say of its end, it has said
	for _, f := range w.pipes {
		f.Close()
	}
}

// TestWorker is what a process of a farm runs: the seeds that its standard input names.
func TestWorker(t *testing.T) {
	if !*isWorker {
		t.Skip("it is for the processes that TestBumps starts with -chaos.jobs")
	}
	report := json.NewEncoder(os.NewFile(3, "reports"))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var seed uint64
		if _, err := fmt.Sscan(in.Text(), &seed); err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if err := report.Encode(runSeed(t, seed)); err != nil {
				t.Fatal(err)
			}
		})
	}
}
