package timerslack

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kernels is what threads have unless somebody chose something else (prctl(2), PR_SET_TIMERSLACK).
const kernels = 50 * time.Microsecond

// Choose gives all threads of the process this slack, unless somebody has chosen one for it.
// Threads hand theirs on to those that they create, but Go has created its own before
// anything here runs: so the program starts once more, in the same process and with the same
// arguments, and Choose does not return. It returns when nothing is to be done or when
// it fails; then all stays as it was. It is to be called before anything else is done.
func Choose(slack time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if has, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || time.Duration(has) != kernels {
		return
	}
	program, err := os.Executable()
	if err != nil || unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) != nil {
		return
	}
	// Before it executes a program, Go takes back what it has raised the limit of open files by.
	var files syscall.Rlimit
	limited := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)
	_ = syscall.Exec(program, os.Args, os.Environ())
	if limited == nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files)
	}
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(kernels), 0, 0, 0)
}
