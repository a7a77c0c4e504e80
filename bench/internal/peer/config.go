package peer

import (
	"os"
	"path/filepath"
	"runtime"
	"text/template"
)

// values are what a configuration may name.
type values struct {
	*Site
	Release string
	Root    bool // we are root, and so can it be
	CPUs    int
	Extra   string // what makes a variant
}

// configure writes a file of the site from a template, and returns its path. It takes the place of
// the one before in one step: a peer may look at it at any time.
func (s *Site) configure(name string, t *template.Template, release, extra string) (file string, err error) {
	file = filepath.Join(s.Dir, name)
	out, err := os.Create(file + ".new")
	if err != nil {
		return "", err
	}
	defer out.Close()
	if err := t.Execute(out, values{s, release, os.Geteuid() == 0, runtime.NumCPU(), extra}); err != nil {
		return "", err
	}
	return file, os.Rename(out.Name(), file)
}
