package docker

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

// daemon is the dockerd of the sealed machine.
type daemon struct {
	cmd   *exec.Cmd
	ended chan struct{}
	log   *os.File
}

// boot starts dockerd, and ends it before the test does: what is left of it would keep
// control groups. Images stay for the next test.
func boot(t *testing.T) *daemon {
	t.Helper()
	recipe.Need(t, "dockerd", "docker.io")
	recipe.Need(t, "docker", "docker.io")
	t.Setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
	// Of overlayfs the upper directory cannot be on another one, which the root is here.
	recipe.Run(t, "sh", "-c", "mountpoint -q /var/lib/docker || { mkdir -p /var/lib/docker && mount -t tmpfs docker /var/lib/docker; }")
	d := &daemon{}
	d.start(t)
	t.Cleanup(func() {
		recipe.Run(t, "sh", "-c", "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force")
		d.stop(t)
	})
	return d
}

// start starts dockerd, without what it does for networks of its own.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	var err error
	if d.log, err = os.CreateTemp("", "dockerd"); err != nil {
		t.Fatal(err)
	}
	d.cmd = exec.Command("dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false",
		"--ip-forward=false", "--ip-masq=false", "--userland-proxy=false")
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func() { defer close(d.ended); d.cmd.Wait() }()
	if !d.answers() {
		d.stop(t)
		t.Skipf("dockerd does not start on this machine:\n%s", d.lastLines())
	}
}

// answers waits until dockerd does. It is false where dockerd has given up.
func (d *daemon) answers() bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(20 * time.Second)
	for exec.Command("docker", "version").Run() != nil {
		select {
		case <-tick.C:
		case <-d.ended:
			return false
		case <-timeout:
			return false
		}
	}
	return true
}

// stop ends dockerd as an orderly shutdown does, and with it the containers.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(60 * time.Second):
		t.Errorf("dockerd does not end:\n%s", d.lastLines())
		d.cut(t)
	}
	d.log.Close()
}

// cut ends it and all that it has started as a power cut does.
func (d *daemon) cut(t *testing.T) {
	t.Helper()
	d.cmd.Process.Kill()
	<-d.ended
	for _, part := range []string{"containerd-shim", "containerd --config", "/server serve"} {
		recipe.Kill(t, part)
	}
	os.Remove("/var/run/docker.pid") // as everything in /run
}

func (d *daemon) lastLines() []byte {
	content, _ := os.ReadFile(d.log.Name())
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-10):], []byte("\n"))
}

// typed types the commands of a section. Compose is the plugin or, as Debian has it, a
// program of its own: the operator's, whichever it is.
func typed(t *testing.T, section string) string {
	t.Helper()
	return recipe.Shell(t, withCompose(recipe.Section(t, section)))
}

func withCompose(commands string) string {
	if exec.Command("docker", "compose", "version").Run() == nil {
		return commands
	}
	return strings.ReplaceAll(commands, "docker compose", "docker-compose")
}

// install does what the README says, on a machine where dockerd runs.
func install(t *testing.T) *daemon {
	t.Helper()
	if exec.Command("docker", "compose", "version").Run() != nil {
		recipe.Need(t, "docker-compose", "docker-compose")
	}
	d := boot(t)
	t.Cleanup(func() { os.RemoveAll("/opt/overlap") })
	typed(t, "Install")
	recipe.Eventually(t, "v1 serves", func() bool { return recipe.Serving("v1") })
	return d
}

// image makes a release from that of the recipe, with other lines at the end.
func image(t *testing.T, release, lines string) {
	t.Helper()
	dir := t.TempDir()
	recipe.Write(t, dir+"/Dockerfile", "FROM overlap:v1\n"+lines+"\n", 0o644)
	recipe.Run(t, "docker", "build", "--quiet", "--tag", "overlap:"+release, dir)
}

// run starts a container as plain docker does, with more arguments.
func run(t *testing.T, release string, args ...string) {
	t.Helper()
	args = append([]string{"run", "--detach", "--name", release, "--network", "host", "--env", "OVERLAP_RELEASE=" + release}, args...)
	recipe.Run(t, "docker", append(args, "overlap:v1")...)
	recipe.Eventually(t, release+" serves", func() bool {
		return exec.Command("docker", "exec", release, "/server", "probe").Run() == nil
	})
}

// is returns what Docker knows about a container.
func is(t *testing.T, container, format string) string {
	t.Helper()
	out, err := exec.Command("docker", "inspect", "--format", format, container).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s", container, err, out)
	}
	return strings.TrimSpace(string(out))
}

// becomes waits until Docker says so of a container.
func becomes(t *testing.T, container, format, want string) {
	t.Helper()
	recipe.Eventually(t, container+" is "+want, func() bool { return is(t, container, format) == want })
}

const (
	status  = "{{.State.Status}}"
	code    = "{{.State.ExitCode}}"
	health  = "{{.State.Health.Status}}"
	starts  = "{{.RestartCount}}"
	itself  = "{{.State.Pid}}"
	upgrade = "/opt/overlap/upgrade.sh"
	url     = "http://127.0.0.1:8080"
)
