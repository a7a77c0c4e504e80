package recipe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// process is what an instance costs: /proc knows, whatever container it is in.
type process struct {
	pid      int
	release  string
	resident int           // bytes, without what it shares with files
	cpu      time.Duration // since its start
}

// Costs is the table of a recipe's README: what the releases take, alone and together.
type Costs struct {
	t    testing.TB
	rows strings.Builder
}

// NewCosts returns a table that is logged when the test has ended.
func NewCosts(t testing.TB) *Costs {
	c := &Costs{t: t}
	t.Cleanup(func() {
		t.Logf("\n| while | release | memory | CPU |\n|---|---|---|---|\n%s", c.rows.String())
	})
	return c
}

// MeasureUpgrade measures around an upgrade from v1 to v2 that soaks for five seconds, so that
// both releases serve for as long as it takes to look.
func MeasureUpgrade(t testing.TB, url, upgrade string) {
	t.Helper()
	load, costs := StartPacedLoad(t, url), NewCosts(t)
	costs.Measure("before", "v1")
	job := Start(t, upgrade, "v2", "--soak", "5s")
	Eventually(t, "v2 serves", func() bool { return Serving("v2") })
	costs.Measure("both serve", "v1", "v2")
	job.Succeeds()
	costs.Measure("after", "v2")
	load.StopLossless("v1", "v2")
}

// Measure looks for three seconds at what the instances take, and adds a row for each.
// Memory is what a second process costs: anonymous pages, since those of the program's file
// are there once for all who run the same.
func (c *Costs) Measure(while string, releases ...string) {
	c.t.Helper()
	before := instances()
	start := time.Now()
	<-time.After(3 * time.Second)
	took := time.Since(start)
	after := instances()
	for _, release := range releases {
		was, is := of(release, before), of(release, after)
		if was.pid == 0 || was.pid != is.pid {
			c.t.Errorf("%s: %s does not run all the time: %v, %v", while, release, before, after)
			continue
		}
		share := 100 * float64(is.cpu-was.cpu) / float64(took)
		fmt.Fprintf(&c.rows, "| %s | %s | %.1f MB | %.0f %% of a core |\n", while, is.release, float64(is.resident)/1e6, share)
	}
	if len(after) != len(releases) {
		c.t.Errorf("%s: others than %v run: %v", while, releases, after)
	}
}

// of returns the process of a release.
func of(release string, all []process) process {
	for _, p := range all {
		if p.release == release {
			return p
		}
	}
	return process{}
}

// instances returns the processes that serve.
func instances() []process {
	var all []process
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if p, ok := read(dir, pid); ok {
			all = append(all, p)
		}
	}
	return all
}

// read is false for who is gone, or serves nothing. Which release it is say its command line,
// its environment, or the directory of the program.
func read(dir string, pid int) (process, bool) {
	line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	args := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
	if len(args) < 2 || filepath.Base(args[0]) != "server" || args[1] != "serve" {
		return process{}, false
	}
	environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
	program, _ := os.Readlink(filepath.Join(dir, "exe"))
	p := process{pid: pid, release: filepath.Base(filepath.Dir(program)), resident: resident(dir), cpu: cpu(dir)}
	for _, pair := range strings.Split(string(environ), "\x00") {
		if release, ok := strings.CutPrefix(pair, "OVERLAP_RELEASE="); ok {
			p.release = release
		}
	}
	for i, arg := range args {
		if release, ok := strings.CutPrefix(arg, "--release="); ok {
			p.release = release
		} else if arg == "--release" && i+1 < len(args) {
			p.release = args[i+1]
		}
	}
	return p, true
}

// resident reads RssAnon; proc_pid_status(5).
func resident(dir string) int {
	status, _ := os.ReadFile(filepath.Join(dir, "status"))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kilobytes << 10
		}
	}
	return 0
}

// cpu reads utime and stime, in ticks of 10 ms; proc_pid_stat(5).
func cpu(dir string) time.Duration {
	stat, _ := os.ReadFile(filepath.Join(dir, "stat"))
	// The name of the program, in parentheses, may have spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
