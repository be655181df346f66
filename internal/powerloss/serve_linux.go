package powerloss

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	largest = 1 << 20 // read or write at once

	// patience is how long the kernel may take to close the files of a process that has ended.
	patience = 10 * time.Second
)

// served is a disk that is mounted.
type served struct {
	dir    string
	server *fuse.Server
}

// serve mounts a disk. It does itself what the library would do by a program, or with a file
// that the processes inherit that are started: those would keep a dead disk from failing.
func serve(dir string, d *Disk) (mount, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,max_read=%d", fd, unix.Geteuid(), unix.Getegid(), largest)
	if err := unix.Mount("powerloss", dir, "fuse.powerloss", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mounting %s: %w", dir, err), unix.Close(fd))
	}
	forever := time.Hour // the kernel knows of all that happens to the files
	root := fs.NewNodeFS(&node{disk: d, inode: d.volume.root}, &fs.Options{
		EntryTimeout: &forever, AttrTimeout: &forever, NullPermissions: true,
		RootStableAttr: &fs.StableAttr{Ino: d.volume.root.id},
	})
	server, err := fuse.NewServer(root, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		MaxWrite: largest, DisableXAttrs: true, ExplicitDataCacheControl: true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serving %s: %w", dir, err), unix.Unmount(dir, unix.MNT_DETACH), unix.Close(fd))
	}
	s := &served{dir, server}
	go server.Serve() // unmount waits for its end
	if err := errors.Join(server.WaitMount(), s.refusePolls()); err != nil {
		return nil, errors.Join(err, s.unmount())
	}
	return s, nil
}

// refusePolls polls a file that the library has for this, so that the kernel learns that files here
// cannot be polled. Otherwise Go would ask as it opens one, from where it cannot serve the answer.
func (s *served) refusePolls() error {
	file := filepath.Join(s.dir, ".go-fuse-epoll-hack")
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", file, err)
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return errors.Join(err, unix.Close(fd))
}

// unmount waits until nobody has files open, and until nothing is served any more.
func (s *served) unmount() error {
	for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		err := unix.Unmount(s.dir, 0)
		if err == nil {
			s.server.Wait()
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return errors.Join(fmt.Errorf("unmounting %s: %w", s.dir, err), unix.Unmount(s.dir, unix.MNT_DETACH))
		}
	}
}
