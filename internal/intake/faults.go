package intake

import (
	"fmt"
	"strings"

	"github.com/tesd/tesd/fsm"
)

// most bounds how many faults are told.
const most = 256

// Faults collects what is wrong with something from outside, in the order in which it
// was found. Paths are those of a body, such as requests[0].scope; callers may add
// others. The zero value is ready for use, by one goroutine.
type Faults struct {
	list []fsm.Problem
	at   map[string]struct{} // the paths in list
	more bool                // some were left out
}

// Add notes a fault, unless one at the same place or around it is known: what comes
// after the first is a consequence.
func (f *Faults) Add(path, format string, args ...any) {
	if f.Full() {
		f.more = true
		return
	}
	for end := len(path); end > 0; end = strings.LastIndexAny(path[:end], ".[") {
		if _, known := f.at[path[:end]]; known {
			return
		}
	}
	if f.at == nil {
		f.at = make(map[string]struct{})
	}
	f.at[path] = struct{}{}
	f.list = append(f.list, fsm.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// Full reports whether no further fault is told: then it is idle to look for more.
func (f *Faults) Full() bool { return len(f.list) >= most }

// List returns the faults, with a last one without a path if there are more than are
// told. It is empty for what is sound.
func (f *Faults) List() []fsm.Problem {
	if !f.more {
		return f.list
	}
	return append(f.list[:len(f.list):len(f.list)], fsm.Problem{Message: "has more faults than are listed"})
}
