//go:build !linux

package powerloss

import "errors"

// serve mounts a disk.
func serve(string, *Disk) (mount, error) { return nil, errors.ErrUnsupported }
