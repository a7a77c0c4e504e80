package bare

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

const (
	url     = "http://127.0.0.1:8080"
	upgrade = "runuser -u overlap -- /opt/overlap/upgrade.sh "
)

// Broken on purpose, and seen red: start.sh puts the server in the background, so that "server
// upgrade" sees it end; --retire plain in overlap.yaml; upgrade.sh moves no link; it moves the
// link of a release that did not start; it keeps no release, or all of them.
func TestUpgradesAndRollsBackUnderLoad(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	recipe.Type(t, "Upgrade")
	isCurrent(t, "v2")
	recipe.Type(t, "Roll back")
	isCurrent(t, "v1")
	load.StopLossless("v1", "v2")
}

func TestABrokenReleaseLeavesTheRunningOneAlone(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	for release, program := range map[string]string{
		"v2-ends":  "#!/bin/sh\necho no such database; exit 1\n",
		"v2-hangs": "#!/bin/sh\nexec sleep 600\n",
		"v2-typo":  "#!/bin/sh\nOVERLAP_DRAIN_TIMEOUT=long exec " + recipe.Server + ` "$@"` + "\n",
	} {
		t.Run(release, func(t *testing.T) {
			recipe.Write(t, "/opt/overlap/releases/"+release+"/server", program, 0o755)
			out := recipe.Fails(t, "sh", "-c", upgrade+release+" --ready-timeout 2s")
			if !strings.Contains(out, "v1 is still in place") {
				t.Error("it does not say that v1 is still in place")
			}
			if left := recipe.Processes(t, release); len(left) > 0 {
				t.Errorf("these processes are left of it: %v", left)
			}
			isCurrent(t, "v1")
		})
	}
	if r := load.StopLossless("v1"); len(r.Releases) != 1 {
		t.Errorf("others than v1 have answered: %v", r.Releases)
	}
}

func TestCtrlCLeavesTheRunningReleaseInPlace(t *testing.T) {
	install(t)
	recipe.Copy(t, recipe.Server, "/opt/overlap/releases/v2/server")
	var said bytes.Buffer
	cmd := exec.Command("sh", "-c", upgrade+"v2 --soak 30s")
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
	syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "v1 is still in place") {
		t.Errorf("%v, and it said:\n%s", err, said.Bytes())
	}
	isCurrent(t, "v1")
	if recipe.Serving("v2") {
		t.Error("v2 still serves")
	}
}

func TestRefusesWhatItCannotPutInPlace(t *testing.T) {
	install(t)
	for args, says := range map[string]string{
		"v9":      "there is no program /opt/overlap/releases/v9/server",
		"v1":      "v1 is in place already",
		"../etc":  "Usage: upgrade.sh RELEASE",
		"":        "Usage: upgrade.sh RELEASE",
		"v1 v2 x": "v1 is in place already",
	} {
		if out := recipe.Fails(t, "sh", "-c", upgrade+args); !strings.Contains(out, says) {
			t.Errorf("upgrade.sh %s does not say %q", args, says)
		}
	}
	isCurrent(t, "v1")
	recipe.Kill(t, "/opt/overlap/")
	recipe.Copy(t, recipe.Server, "/opt/overlap/releases/v2/server")
	if out := recipe.Fails(t, "sh", "-c", upgrade+"v2"); !strings.Contains(out, "there is nobody to replace") {
		t.Error("it does not say that there is nobody to replace")
	}
}

func TestKeepsFiveReleases(t *testing.T) {
	install(t)
	for _, release := range []string{"v2", "v3", "v4", "v5", "v6", "v1", "v7"} {
		recipe.Copy(t, recipe.Server, "/opt/overlap/releases/"+release+"/server")
		recipe.Run(t, "chown", "-R", "overlap:", "/opt/overlap/releases")
		recipe.Run(t, "sh", "-c", upgrade+release)
	}
	// v1 was put in place again after v6.
	dirs, err := filepath.Glob("/opt/overlap/releases/*")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"v1", "v4", "v5", "v6", "v7"}
	for i := range dirs {
		dirs[i] = filepath.Base(dirs[i])
	}
	if !slices.Equal(dirs, want) {
		t.Errorf("it keeps %v, not %v", dirs, want)
	}
}

// The line in the crontab is what brings the service back.
func TestARebootStartsTheCurrentRelease(t *testing.T) {
	install(t)
	recipe.Type(t, "Upgrade")
	recipe.Kill(t, "/opt/overlap/")
	recipe.Run(t, "cron")
	t.Cleanup(func() { recipe.Kill(t, "cron") })
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
}

func TestWhatTheOverlapTakes(t *testing.T) {
	install(t)
	load, costs := recipe.StartLoad(t, url), recipe.NewCosts(t)
	costs.Measure("before", "v1")
	recipe.Copy(t, recipe.Server, "/opt/overlap/releases/v2/server")
	done := make(chan struct{})
	go func() {
		defer close(done)
		recipe.Run(t, "sh", "-c", upgrade+"v2 --soak 5s")
	}()
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
	costs.Measure("both serve", "v1", "v2")
	<-done
	costs.Measure("after", "v2")
	load.StopLossless("v1", "v2")
}

// install does what the README says, and undoes it when the test has ended.
func install(t *testing.T) {
	recipe.Need(t, "crontab", "cron")
	t.Cleanup(func() {
		recipe.Kill(t, "/opt/overlap/")
		recipe.Run(t, "sh", "-c", "crontab -u overlap -r; userdel overlap; rm -r /opt/overlap")
	})
	recipe.Type(t, "Install")
	recipe.Eventually(t, "v1 serves", func() bool { return recipe.Serving("v1") })
}

func isCurrent(t *testing.T, release string) {
	t.Helper()
	if is, err := os.Readlink("/opt/overlap/current"); is != "releases/"+release {
		t.Errorf("current is %q, not %s: %v", is, release, err)
	}
	if !recipe.Serving(release) {
		t.Errorf("%s does not serve", release)
	}
}
