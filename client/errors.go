package client

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What a call that failed comes down to, for errors.Is. An [*Error] is at most one of these; one that is
// none is a defect of the server, or an answer that is not tesd's.
var (
	// ErrInvalid: the request is wrong as it is (400, 405, 413, 415, 422).
	ErrInvalid = errors.New("invalid request")

	// ErrNotAllowed: the caller may not do this, or is not known (401, 403).
	ErrNotAllowed = errors.New("not allowed")

	// ErrNotFound: there is no such entity, registry, revision or route, or no longer (404, 410).
	ErrNotFound = errors.New("not found")

	// ErrConflict: the state is not what the request asks it to be (409, 412).
	ErrConflict = errors.New("conflict")

	// ErrUnavailable: no node could serve the request in time (429, 502, 503, 504, or no answer), and
	// it was not applied. It may be tried again later.
	ErrUnavailable = errors.New("unavailable")

	// ErrUnknownOutcome: the write may have been applied. To learn whether it was, send it again under
	// the key in [Error.IdempotencyKey]. No error of an unknown outcome is any of the others.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// An Error is a call that failed, as errors.As finds it. Status, Code, Message and what the server says
// besides are of the last attempt; Outcome is that of the call as a whole, over all its attempts.
type Error struct {
	Status     int // of HTTP; 0 when there was no answer
	Code       Code
	Message    string
	Outcome    Outcome
	Context    ErrorContext
	Details    []Detail
	Validation *Validation

	Endpoint       string        // the one that was asked last; empty when none was
	RequestID      string        // as in the server's log
	IdempotencyKey string        // of a write: the one that all its attempts had
	RetryAfter     time.Duration // the wait that the server asks for

	err   error // the failure beneath, if it was not an answer
	ended error // what ended the call while another attempt might have fared better
	again bool  // another attempt may fare better
	stray bool  // at another endpoint only: this one is not tesd's
}

// Error says how the last attempt failed, what kept the call from another one and, of a write that may
// have been applied, how to learn whether it was.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("tesd")
	if e.Endpoint != "" {
		b.WriteString(" at " + e.Endpoint)
	}
	switch {
	case e.Code != "":
		b.WriteString(": " + string(e.Code))
	case e.Status != 0:
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.ended != nil {
		b.WriteString("; gave up: " + e.ended.Error())
	}
	switch {
	case e.Outcome != OutcomeUnknown:
	case e.IdempotencyKey == "":
		b.WriteString(" (outcome unknown)")
	default:
		fmt.Fprintf(&b, " (outcome unknown; idempotency key %q)", e.IdempotencyKey)
	}
	return b.String()
}

// Is tells whether the error is of the class that target, one of the sentinels, stands for.
func (e *Error) Is(target error) bool {
	class := e.class()
	return class != nil && class == target
}

// Unwrap gives what the error comes from: the failure of the last attempt's connection, if it had no
// answer, and context.Canceled or context.DeadlineExceeded, if that ended the call.
func (e *Error) Unwrap() []error {
	return slices.DeleteFunc([]error{e.err, e.ended}, func(err error) bool { return err == nil })
}

// class is the sentinel the error stands for, nil for none.
func (e *Error) class() error {
	if e.Outcome == OutcomeUnknown {
		return ErrUnknownOutcome
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return ErrInvalid
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrNotAllowed
	case http.StatusNotFound, http.StatusGone:
		return ErrNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return ErrConflict
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ErrUnavailable
	}
	if e.Status == 0 && e.Outcome == OutcomeNotApplied {
		return ErrUnavailable
	}
	if e.Status == 0 && e.Outcome == OutcomeRejected {
		return ErrInvalid // by this package, before any node was asked
	}
	return nil
}

// invalid is the error of a call that is not worth sending.
func invalid(message string) *Error {
	return &Error{Code: CodeInvalidRequest, Message: message, Outcome: OutcomeRejected}
}
