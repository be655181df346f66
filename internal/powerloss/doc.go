// Package powerloss is a disk for tests that loses what was not synced when its power is lost.
//
// A [Disk] is a file system in memory, served by FUSE. Of each file it keeps what was written apart
// from what fsync or fdatasync made durable, in sectors of 512 bytes; of each directory, the names
// that were made, changed or removed apart from those that an fsync of the directory made durable. It
// promises no more than POSIX does: the fsync of a file says nothing of its name, and that of a
// directory nothing of the names in others. A rename is atomic: it is lost or kept as a whole.
//
// [Disk.Lose] is the power loss. It forgets what was not synced, or keeps a random part of that, as a
// real disk may have written some sectors and names and not others, in any order; of a sector that was
// written several times it may keep the last content. Then the file system is mounted afresh, so
// that nothing is left in the caches of the kernel.
//
// To lose power while much is unsynced, [Disk.Hold] has a sync wait. A disk can also be made to
// lie, by [Disk.Lie]: it says that it has synced, and has not. And [Disk.Fail] has the nth write, sync or
// rename fail.
//
// The process that serves a disk may read and write the files on it, but not map them into its memory:
// a page that is not there yet would have it wait for itself.
//
// Modes, owners and times are not lost. There are no links, neither hard nor symbolic.
package powerloss
