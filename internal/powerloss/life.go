package powerloss

import (
	"bufio"
	"os/exec"
	"time"
)

// longestLife is how long a process of [Disk.Live] may take. It ends then as if power were lost.
const longestLife = time.Minute

// Live runs a command with files on the disk until it ends, or until power is lost: at the sync that comes after so
// many. It hands on each line that the command writes to standard output, and returns how the command ended. After
// that comes [Disk.Lose].
func (d *Disk) Live(cmd *exec.Cmd, after int, said func(line string)) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	held := d.Hold(after, longestLife)
	if err := cmd.Start(); err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said(lines.Text())
		}
	}()
	select {
	case <-over:
		return cmd.Wait()
	case <-held:
	case <-time.After(longestLife):
	}
	_ = cmd.Process.Kill() // an error is that it has ended
	d.Cut()                // or it does not end while it syncs
	<-over
	return cmd.Wait()
}
