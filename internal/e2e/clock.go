package e2e

import (
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clockVariable names the environment variable that a command of [BuildClocks] reads.
const clockVariable = "TESD_TEST_CLOCK"

// wrongTime is a file that such a command has in package time beside the others.
//
//go:embed testdata/wrongtime.go.txt
var wrongTime []byte

// The change to package time: what it is made to, and from what. It must be there once.
const (
	rightNow = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	wrongNow = "func Now() Time {\n\tsec, nsec, mono := wrong(runtimeNow())\n"
)

// BuildClocks is [Build] of a command whose time of day can be made wrong while it runs: by how
// much, a [Clock] says. Only the wall clock's part of time.Now is; the monotonic part, by which Go
// measures durations and waits, is right, as on a machine whose clock somebody sets. It changes
// package time for this one command, and returns an error if this Go has another one than it knows.
func BuildClocks(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking for GOROOT: %w", err)
	}
	home := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	now := filepath.Join(home, "time.go")
	source, err := os.ReadFile(now)
	if err != nil {
		return "", fmt.Errorf("reading package time: %w", err)
	}
	if n := strings.Count(string(source), rightNow); n != 1 {
		return "", fmt.Errorf("%s has %q %d times, not once: this Go's clocks cannot be made wrong", now, rightNow, n)
	}
	changed := filepath.Join(dir, "time.go")
	added := filepath.Join(dir, "wrongtime.go")
	overlay := filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{
		now: changed, filepath.Join(home, "wrongtime.go"): added,
	}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(
		os.WriteFile(changed, []byte(strings.Replace(string(source), rightNow, wrongNow, 1)), 0o600),
		os.WriteFile(added, wrongTime, 0o600), os.WriteFile(overlay, replace, 0o600),
	); err != nil {
		return "", fmt.Errorf("changing package time: %w", err)
	}
	return Build(dir, "-overlay", overlay)
}

// Clock is what a node takes for the time of day. Its methods may be called concurrently.
//
// It is a file that the node maps into its memory: by how many nanoseconds it is ahead.
type Clock struct{ file *os.File }

func newClock(path string) (*Clock, error) {
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(8)
	}
	if err != nil {
		return nil, fmt.Errorf("making a clock: %w", err)
	}
	return &Clock{f}, nil
}

// Set has the clock be ahead by so much from now on, or behind if that is negative. It jumps.
func (c *Clock) Set(ahead time.Duration) error {
	raw := binary.NativeEndian.AppendUint64(nil, uint64(ahead))
	if _, err := c.file.WriteAt(raw, 0); err != nil {
		return fmt.Errorf("setting a clock: %w", err)
	}
	return nil
}

// environment is what a node needs to know the clock; nothing for a clock that is right.
func (c *Clock) environment() []string {
	if c == nil {
		return nil
	}
	return []string{clockVariable + "=" + c.file.Name()}
}

func (c *Clock) close() {
	if c != nil {
		c.file.Close()
	}
}
