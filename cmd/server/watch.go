package main

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// calm is how long after the first sign of a change we look: whoever writes a
	// certificate writes its key in the next moment.
	calm = 200 * time.Millisecond
	// lookAnyway is how often we look without a sign. A network file system gives none.
	lookAnyway = time.Minute
	// stopPatience is how long stop waits.
	stopPatience = time.Second
	// mostLinks is how many symbolic links lead to a file at most, as in the kernel.
	mostLinks = 40
)

// watcher calls look when files may have become others.
type watcher struct {
	files   []string
	look    func()
	signs   *fsnotify.Watcher
	stopped chan struct{}
	ended   chan struct{}
}

// watch calls look from now on, for the first time before long: the files may have
// changed before anybody watched. Where the system gives no signs it says so, and
// looks now and then.
func watch(files []string, look func(), log *slog.Logger) *watcher {
	w := &watcher{files: files, look: look, stopped: make(chan struct{}), ended: make(chan struct{})}
	var err error
	if w.signs, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("watch", slog.Duration("every", lookAnyway), slog.Any("error", err))
		w.signs = &fsnotify.Watcher{} // whose channels nobody writes to
	}
	w.follow()
	go w.run()
	return w
}

// stop waits for a look that has begun, but a file system that has gone holds nobody up.
func (w *watcher) stop() {
	close(w.stopped)
	select {
	case <-w.ended:
	case <-time.After(stopPatience):
	}
}

func (w *watcher) run() {
	defer close(w.ended)
	if w.signs.Events != nil {
		defer w.signs.Close()
	}
	anyway := time.NewTicker(lookAnyway)
	defer anyway.Stop()
	soon := time.After(0)
	for {
		select {
		case <-w.signs.Events:
			soon = later(soon)
		case <-w.signs.Errors: // signs were lost
			soon = later(soon)
		case <-anyway.C:
			soon = later(soon)
		case <-soon:
			soon = nil
			w.follow() // first, so that nothing happens unseen between the two
			w.look()
		case <-w.stopped:
			return
		}
	}
}

// later returns when to look, which does not move: where there are signs all the time
// we look all the same.
func later(soon <-chan time.Time) <-chan time.Time {
	if soon == nil {
		return time.After(calm)
	}
	return soon
}

// follow watches every directory in which a change can make one of the files another.
// What cannot be watched is looked at now and then.
func (w *watcher) follow() {
	if w.signs.Events == nil {
		return
	}
	for _, file := range w.files {
		for _, dir := range directories(file) {
			_ = w.signs.Add(dir)
		}
	}
}

// directories returns those that decide which file a path means: its own, and that of
// each symbolic link on the way to it. (Kubernetes swaps a link to a directory, of which
// the directory of the file itself knows nothing.) Where the way ends, the directory in
// which it may go on.
func directories(path string) (dirs []string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	root := filepath.VolumeName(path) + string(filepath.Separator)
	dir, rest := root, path[len(root):]
	for links := 0; rest != "" && links <= mostLinks; {
		name, after, _ := strings.Cut(rest, string(filepath.Separator))
		next := filepath.Join(dir, name)
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			return append(dirs, dir)
		case info.Mode()&fs.ModeSymlink != 0:
			links++
			dirs = append(dirs, dir)
			if dir, rest, err = followed(next, after); err != nil {
				return dirs
			}
			continue
		case after == "":
			return append(dirs, dir)
		}
		dir, rest = next, after
	}
	return dirs
}

// followed returns where a link leads, with what comes after it still to go.
func followed(link, after string) (dir, rest string, err error) {
	target, err := os.Readlink(link)
	if err != nil {
		return "", "", err
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(link), target)
	}
	target = filepath.Join(target, after)
	root := filepath.VolumeName(target) + string(filepath.Separator)
	return root, target[len(root):], nil
}
