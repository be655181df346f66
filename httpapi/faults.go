package httpapi

import (
	"fmt"
	"strings"

	"github.com/tesd/tesd/client"
)

// maxDetails bounds how many faults an answer lists.
const maxDetails = 256

// faults collects what is wrong with a request. Paths are those of the body, such as
// requests[0].scope, the name of a header, or a query parameter behind a "?". The
// zero value is ready for use.
type faults struct {
	list []client.Detail
	at   map[string]struct{} // the paths in list
	more bool                // some were left out
}

// add notes a fault, unless one at the same place or around it is known: what comes
// after the first is a consequence.
func (f *faults) add(path, format string, args ...any) {
	if f.full() {
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
	f.list = append(f.list, client.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

// full reports whether no further fault is listed: then it is idle to look for more.
func (f *faults) full() bool { return len(f.list) >= maxDetails }

// failure returns the failure of a request with these faults, nil if there are none.
func (f *faults) failure() error {
	if len(f.list) == 0 {
		return nil
	}
	first := f.list[0]
	message := first.Path + ": " + first.Message
	if first.Path == "" {
		message = "the body " + first.Message
	}
	details := f.list
	if f.more {
		details = append(details, client.Detail{Message: "has more faults than are listed"})
	}
	if len(details) > 1 {
		message += "; there are more faults, see details"
	}
	return &failure{code: client.CodeInvalidRequest, message: message, details: details}
}
