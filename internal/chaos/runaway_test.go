package chaos_test

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
)

// What runs away in a bubble is bounded by nothing there: time stands still while anything is busy.
// So it is watched from outside, by real time.

// ranAway is the exit code of a process that held too much.
const ranAway = 3

// bound ends this process, until the test ends, when it holds more than so many bytes of memory.
// On standard error it says what was busy then, what held most, and where every goroutine was.
func bound(t *testing.T, most uint64) {
	debug.SetMemoryLimit(int64(most / 2)) // up to there collections are rare
	tick, done, ended := time.NewTicker(200*time.Millisecond), make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-ended; tick.Stop() })
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if holds := held(); holds > most {
				fmt.Fprintf(os.Stderr, "it holds %d MB of memory, more than %d\n", holds>>20, most>>20)
				account(os.Stderr)
				os.Exit(ranAway)
			}
		}
	}()
}

// held returns how many bytes this process has from the system.
func held() uint64 {
	m := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(m)
	return m[0].Value.Uint64() - m[1].Value.Uint64()
}

// account tells what holds a process's memory, and what it was doing: the short part first, since of the
// rest only the beginning and the end are shown.
func account(w io.Writer) {
	stacks := make([]byte, 64<<20)
	all := string(stacks[:runtime.Stack(stacks, true)])
	goroutines := strings.Split(all, "\n\n")
	fmt.Fprintln(w, "most of the memory is held by what was made here:")
	for _, h := range holders(5) {
		fmt.Fprintln(w, h)
	}
	fmt.Fprintf(w, "of %d goroutines these were busy:\n", len(goroutines))
	for _, g := range goroutines[1:] { // the first one is this
		if state, _, _ := strings.Cut(g, "\n"); strings.Contains(state, "[runnable") || strings.Contains(state, "[running") {
			lines := strings.Split(g, "\n")
			fmt.Fprintf(w, "%s\n", strings.Join(lines[:min(len(lines), 17)], "\n"))
		}
	}
	fmt.Fprintf(w, "\n%s\n", all)
}

// holders returns the places where what is held was made, those of the most bytes first.
func holders(most int) (places []string) {
	runtime.GC() // the profile is of two collections ago
	runtime.GC()
	n, _ := runtime.MemProfile(nil, false)
	records := make([]runtime.MemProfileRecord, n+100) // there may be more in a moment
	n, _ = runtime.MemProfile(records, false)
	records = records[:min(n, len(records))]
	slices.SortFunc(records, func(a, b runtime.MemProfileRecord) int { return cmp.Compare(b.InUseBytes(), a.InUseBytes()) })
	for _, r := range records[:min(len(records), most)] {
		place := fmt.Sprintf("%6d MB", r.InUseBytes()>>20)
		frames := runtime.CallersFrames(r.Stack())
		for range 8 {
			f, more := frames.Next()
			place += " < " + f.Function[strings.LastIndex(f.Function, "/")+1:]
			if !more {
				break
			}
		}
		places = append(places, place)
	}
	return places
}
