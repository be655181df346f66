package cluster

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tesd/tesd/fsm"
)

// forwarded is the outcome of one command at the leader.
type forwarded struct {
	Result []byte // as fsm.EncodeResult has it, unless there is a fault
	Fault  fault
	Detail string
}

// open returns the outcome as the node has it that the command came to.
func (f *forwarded) open() (fsm.Result, error) {
	if err := f.Fault.err(f.Detail); err != nil {
		return fsm.Result{}, err
	}
	result, err := fsm.DecodeResult(f.Result)
	if err != nil {
		return fsm.Result{}, unknown(fmt.Errorf("reading the leader's answer: %w", err))
	}
	return result, nil
}

// fault is an error of this package in the form that travels.
type fault uint8

const (
	noFault fault = iota
	faultNotLeader
	faultNotReady
	faultBusy
	faultFull
	faultUnknown
	faultConflict
	faultNoNode
)

func faultOf(err error) fault {
	switch {
	case err == nil:
		return noFault
	case errors.Is(err, ErrUnknownOutcome):
		return faultUnknown
	case errors.Is(err, ErrBusy):
		return faultBusy
	case errors.Is(err, ErrStorageFull):
		return faultFull
	case errors.Is(err, errNotLeader), errors.Is(err, ErrShuttingDown):
		return faultNotLeader
	case errors.Is(err, ErrMembership):
		return faultConflict
	case errors.Is(err, ErrNoNode):
		return faultNoNode
	case errors.Is(err, ErrNotReady), errors.Is(err, ErrNoLeader):
		return faultNotReady
	}
	return faultUnknown // what is not known to be harmless may have been applied
}

// err returns the error that the fault stands for, with what was said about it.
func (f fault) err(detail string) error {
	sentinel := ErrUnknownOutcome
	switch f {
	case noFault:
		return nil
	case faultNotLeader:
		return errNotLeader
	case faultBusy:
		return ErrBusy
	case faultFull:
		return ErrStorageFull
	case faultNotReady:
		sentinel = ErrNotReady
	case faultConflict:
		sentinel = ErrMembership
	case faultNoNode:
		sentinel = ErrNoNode
	}
	return fmt.Errorf("%w: %s", sentinel, strings.TrimPrefix(detail, sentinel.Error()+": "))
}
