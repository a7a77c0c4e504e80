//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock keeps others that call it out of the directory until unlock is called, or the
// process ends. It is a directory because a lock on a file would go when the file is
// replaced.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("another rotation is under way in %s: try again when it has ended", dir)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return func() { d.Close() }, nil
}

// keepOwner gives file to the owner of the one at path, if there is one.
func keepOwner(file *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	is, _ := info.Sys().(*syscall.Stat_t)
	if is == nil || int(is.Uid) == os.Geteuid() && int(is.Gid) == os.Getegid() {
		return nil
	}
	if err := file.Chown(int(is.Uid), int(is.Gid)); err != nil {
		return fmt.Errorf("keep its owner: %w (run this as root, or as user %d)", err, is.Uid)
	}
	return nil
}

// syncDir makes a rename outlive a crash of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
