//go:build linux || darwin

package cluster

import "syscall"

// freeSpace returns how many bytes this process may still write to the file system of dir.
func freeSpace(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}
