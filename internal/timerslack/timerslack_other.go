//go:build !linux

package timerslack

import "time"

// Choose does nothing: the threads of this system have no such setting.
func Choose(time.Duration) {}
