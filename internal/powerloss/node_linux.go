package powerloss

import (
	"context"
	"maps"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// room is how large a disk says that it is.
const room = 64 << 30

// node is a file or a directory as the kernel knows it.
type node struct {
	fs.Inode
	disk  *Disk
	inode *inode
}

// What the library asks a node for.
var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

// describe tells the kernel of an inode.
func (in *inode) describe(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = in.id, in.kind()|in.mode, 1
	out.SetTimes(&in.modified, &in.modified, &in.modified)
	if in.file != nil {
		out.Size = uint64(in.file.size)
		out.Blocks = uint64(len(in.file.pages)) * pageSize / sectorSize
	}
}

func (in *inode) kind() uint32 {
	if in.file == nil {
		return syscall.S_IFDIR
	}
	return syscall.S_IFREG
}

// path is where it is, from the root of the disk.
func (n *node) path() string { return n.Path(nil) }

// child is a node in a directory.
func (n *node) child(ctx context.Context, in *inode, out *fuse.EntryOut) *fs.Inode {
	n.disk.look(func() { in.describe(&out.Attr) })
	return n.NewInode(ctx, &node{disk: n.disk, inode: in}, fs.StableAttr{Mode: in.kind(), Ino: in.id})
}

// Lookup finds a name.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	var in *inode
	n.disk.look(func() { in = n.inode.names[name] })
	if in == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, in, out), 0
}

// Readdir lists a directory.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	var list []fuse.DirEntry
	n.disk.look(func() {
		for _, name := range slices.Sorted(maps.Keys(n.inode.names)) {
			in := n.inode.names[name]
			list = append(list, fuse.DirEntry{Name: name, Mode: in.kind(), Ino: in.id})
		}
	})
	return fs.NewListDirStream(list), 0
}

// Getattr tells of the node.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.look(func() { n.inode.describe(&out.Attr) })
	return 0
}

// Setattr changes its size, its permissions and its time; owners cannot be changed.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if _, ok := in.GetSize(); ok {
		if errno := n.disk.meet(Write, n.path); errno != 0 {
			return errno
		}
	}
	return n.disk.alter(func(*volume) syscall.Errno {
		if size, ok := in.GetSize(); ok && n.inode.file != nil {
			n.inode.file.truncate(int64(size))
			n.inode.modified = time.Now()
		}
		if mode, ok := in.GetMode(); ok {
			n.inode.mode = mode & 0o7777
		}
		if modified, ok := in.GetMTime(); ok {
			n.inode.modified = modified
		}
		n.inode.describe(&out.Attr)
		return 0
	})
}

// Create makes a file.
func (n *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, errno := n.make(ctx, name, false, mode, out)
	return child, nil, 0, errno
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.make(ctx, name, true, mode, out)
}

func (n *node) make(ctx context.Context, name string, dir bool, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	var in *inode
	errno := n.disk.alter(func(v *volume) (errno syscall.Errno) {
		in, errno = v.create(n.inode, name, dir, mode)
		return errno
	})
	if errno != 0 {
		return nil, errno
	}
	return n.child(ctx, in, out), 0
}

// Unlink removes a file.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.disk.alter(func(v *volume) syscall.Errno { return v.remove(n.inode, name) })
}

// Rmdir removes an empty directory.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno { return n.Unlink(ctx, name) }

// Rename moves a file or a directory.
func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, as string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	if errno := n.disk.meet(Rename, func() string { return path.Join(n.path(), name) }); errno != 0 {
		return errno
	}
	return n.disk.alter(func(v *volume) syscall.Errno { return v.rename(n.inode, name, to.(*node).inode, as) })
}

// Open opens a file; all that is known of it is in the node.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC == 0 {
		return nil, 0, 0
	}
	return nil, 0, n.disk.alter(func(*volume) syscall.Errno {
		n.inode.file.truncate(0)
		return 0
	})
}

// Read reads from a file.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	var size int
	n.disk.look(func() { size = n.inode.file.read(dest, off) })
	return fuse.ReadResultData(dest[:size]), 0
}

// Write writes to a file.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := n.disk.meet(Write, n.path); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), n.disk.alter(func(*volume) syscall.Errno {
		n.inode.file.write(data, off)
		n.inode.modified = time.Now()
		return 0
	})
}

// Fsync makes a file, or the names in a directory, durable.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.disk.sync(n.inode, n.path)
}

// Statfs tells of room that never ends.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = pageSize, pageSize, 255
	out.Blocks, out.Bfree, out.Bavail = room/pageSize, room/pageSize, room/pageSize
	out.Files, out.Ffree = 1<<20, 1<<20
	return 0
}
