package recipe

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// A load that has not been shown to see a loss proves nothing.
func TestTheLoadSeesALoss(t *testing.T) {
	old := serve(t, "v1", "--retire", "plain")
	load := StartLoad(t, "http://127.0.0.1:8080")
	for _, release := range []string{"v2", "v3", "v4"} {
		next := serve(t, release, "--retire", "plain")
		old.Process.Signal(syscall.SIGTERM)
		old.Wait()
		old = next
	}
	r := load.Stop()
	t.Logf("%d of %d requests lost: %v", r.Failed, r.Sent, r.Failures)
	if r.Failed == 0 {
		t.Error("none was lost, although three releases have left as everybody does")
	}
}

func serve(t *testing.T, release string, args ...string) *exec.Cmd {
	cmd := exec.Command(Server, append([]string{"serve", "--release", release, "--access-log=false"}, args...)...)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	Eventually(t, release+" serves", func() bool { return Serving(release) })
	return cmd
}

// Broken on purpose, and seen red when the machine was looked at afterwards: /run, /dev or
// control groups of the machine instead of private ones.
func TestWhatARecipeDoesStaysInside(t *testing.T) {
	for _, dir := range []string{"/etc", "/run", "/dev", "/opt", "/usr/lib/systemd", "/var/lib"} {
		Write(t, dir+"/overlap-was-here", "", 0o644)
	}
	Run(t, "mkdir", "/sys/fs/cgroup/unified/overlap-was-here")
	Run(t, "hostname", "overlap-was-here")
	Run(t, "sysctl", "-w", "net.ipv4.tcp_migrate_req=1")
	Fails(t, "sysctl", "-w", "vm.swappiness=1")
	Fails(t, "sh", "-c", "echo >/proc/sys/kernel/core_pattern")
}

func TestAChangeOfTheMachineIsSeen(t *testing.T) {
	before := machine{"/etc/passwd": "inode 1", "/tmp/mine": "inode 2", "/proc/sys/vm/swappiness": "60", "/run/lock": "inode 3"}
	for name, now := range map[string]machine{
		"/etc/passwd is inode 9, and was inode 1":        {"/etc/passwd": "inode 9", "/tmp/mine": "inode 2", "/proc/sys/vm/swappiness": "60", "/run/lock": "inode 3"},
		"/tmp/mine is gone: inode 2":                     {"/etc/passwd": "inode 1", "/proc/sys/vm/swappiness": "60", "/run/lock": "inode 3"},
		"/proc/sys/vm/swappiness is 10, and was 60":      {"/etc/passwd": "inode 1", "/tmp/mine": "inode 2", "/proc/sys/vm/swappiness": "10", "/run/lock": "inode 3"},
		"/run/systemd/private is new: inode 4":           {"/etc/passwd": "inode 1", "/tmp/mine": "inode 2", "/proc/sys/vm/swappiness": "60", "/run/lock": "inode 3", "/run/systemd/private": "inode 4"},
		"/sys/fs/cgroup/cpu/docker is new: control grou": {"/etc/passwd": "inode 1", "/tmp/mine": "inode 2", "/proc/sys/vm/swappiness": "60", "/run/lock": "inode 3", "/sys/fs/cgroup/cpu/docker": "control group"},
	} {
		if err := before.same(now); err == nil || !strings.Contains(err.Error(), name) || strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("it says %v, not %s", err, name)
		}
	}
	theirs := machine{"/tmp/theirs": "inode 5"}
	for name, how := range before {
		theirs[name] = how
	}
	if err := before.same(theirs); err != nil {
		t.Errorf("a file of somebody else in /tmp: %v", err)
	}
}

func TestASectionHasTheCommandsOfItsBlocks(t *testing.T) {
	t.Chdir(t.TempDir())
	Write(t, "README.md", `# Title
## Upgrade
text
`+"```sh\necho one\n```\nmore\n```\nnot this\n```\n```sh\n## no heading\necho two\n```\n"+`## Roll back
`+"```sh\necho three\n```\n", 0o644)
	if is := Section(t, "Upgrade"); is != "echo one\n## no heading\necho two\n" {
		t.Errorf("it is %q", is)
	}
}
