package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// The exit codes.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitConflict     = 4
	exitUnavailable  = 5
	exitNotAllowed   = 6
	exitUnknown      = 7 // the write may have been applied
	exitVerification = 8
	exitDisk         = 9  // the disk of the node failed, or its data directory is damaged
	exitDiverged     = 10 // the state of this node was found to differ from that of the others
)

// usageError is a command line that asks for nothing sensible.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// exitCode is the one place that says which error comes to which exit code.
func exitCode(err error) int {
	refused, _ := errors.AsType[*client.Error](err)
	_, usage := errors.AsType[*usageError](err)
	_, late := errors.AsType[*lateError](err)
	failed := exitFailed
	if _, trouble := errors.AsType[*troubleError](err); trouble {
		failed = exitUsage // as diff(1) has it, for which 1 says that there is a difference
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, cluster.ErrDiskFailed):
		return exitDisk
	case errors.Is(err, cluster.ErrDiverged):
		return exitDiverged
	case usage, refused != nil && refused.Status == 0 && errors.Is(err, client.ErrInvalid): // it was not worth sending
		return exitUsage
	case errors.Is(err, client.ErrVerification), errors.Is(err, fsm.ErrBadSnapshot):
		return exitVerification
	case errors.Is(err, client.ErrUnknownOutcome):
		return exitUnknown
	case errors.Is(err, context.Canceled):
		return failed // it was interrupted, which says nothing about the cluster
	case refused != nil && refused.Code == client.CodeIdempotencyKeyReused:
		return exitConflict
	case errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrGap):
		return exitNotFound
	case errors.Is(err, client.ErrConflict):
		return exitConflict
	case errors.Is(err, client.ErrUnavailable), late:
		return exitUnavailable
	case errors.Is(err, client.ErrNotAllowed):
		return exitNotAllowed
	}
	return failed
}

// exit tells what went wrong, if anything did, and returns the exit code.
func (a *app) exit(command *cobra.Command, err error) int {
	if err != nil && !a.started {
		// Cobra found fault with the command line; its message may come with suggestions
		// on lines of their own.
		message := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n\n", "; ")
		message = regexp.MustCompile(`strconv\.\w+: parsing ".*": `).ReplaceAllString(message, "") // which is Go's affair
		err = &usageError{strings.Join(strings.Fields(message), " ")}
	}
	code := exitCode(err)
	if code == exitDone {
		return code
	}
	if refused, ok := errors.AsType[*client.Error](err); ok {
		a.tell("%s", refusalText(refused))
	} else {
		a.tell("tesd: %s\n", printableLines(err.Error()))
	}
	if _, usage := errors.AsType[*usageError](err); usage {
		a.tell("Run '%s --help' for usage.\n", command.CommandPath())
	}
	return code
}

// tell writes to standard error. If even that fails there is nobody left to tell.
func (a *app) tell(format string, args ...any) { fmt.Fprintf(a.stderr, format, args...) }

// refusalText is an error of a call, with all that the server said about it.
func refusalText(e *client.Error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "tesd: %s\n", printable(reasonOf(e)))
	for _, d := range e.Details {
		path := d.Path
		if path == "" {
			path = "request"
		}
		fmt.Fprintf(&b, "  %s: %s\n", printable(path), printable(d.Message))
	}
	if e.Validation != nil {
		for _, row := range findingRows(*e.Validation) {
			fmt.Fprintf(&b, "  %s\n", printable(strings.Join(row, "  ")))
		}
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, "  request %s at %s\n", printable(e.RequestID), e.Endpoint)
	}
	switch {
	case e.Outcome != client.OutcomeUnknown:
	case e.IdempotencyKey == "":
		b.WriteString("It may have been applied. To repeat it does no harm.\n")
	default:
		fmt.Fprintf(&b, "It may have been applied. To learn whether it was, repeat the command within 24 hours with\n  --idempotency-key %s\n",
			shellQuote(e.IdempotencyKey))
	}
	return b.String()
}

// reasonOf is an error of a call in one line.
func reasonOf(e *client.Error) string {
	message := e.Message
	switch {
	case message == "" && e.Status != 0:
		message = fmt.Sprintf("the server answered with status %d", e.Status)
	case message == "":
		message = "the call failed"
	case e.Status == 0 && e.Endpoint != "":
		message = "no answer from " + e.Endpoint + ": " + message
	}
	if e.Code != "" {
		message += " (" + string(e.Code) + ")"
	}
	return message
}

// shellQuote makes one word of s for a shell, if it is not one already.
func shellQuote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/@+,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
