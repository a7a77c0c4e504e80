package supervisord

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

const (
	url     = "http://127.0.0.1:8080"
	upgrade = "/opt/overlap/upgrade.sh"
)

// Broken on purpose, and seen red: "retire: plain" in overlap.yaml; upgrade.sh does not free
// the slot of who has left, or stop a release that does not get ready; autorestart=true.
func TestUpgradesAndRollsBackUnderLoad(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	recipe.Type(t, "Upgrade")
	isInPlace(t, "v2", "1", "0")
	recipe.Type(t, "Roll back")
	isInPlace(t, "v1", "0", "1")
	load.StopLossless("v1", "v2")
}

func TestABrokenReleaseLeavesTheRunningOneAlone(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	recipe.Copy(t, "overlap.yaml", release2+"/overlap.yaml")
	for what, program := range recipe.BrokenReleases() {
		t.Run(what, func(t *testing.T) {
			recipe.Write(t, release2+"/server", program, 0o755)
			out := recipe.Fails(t, upgrade, "v2", "--ready-timeout", "3s")
			if !strings.Contains(out, "v1 is still in place") {
				t.Error("it does not say that v1 is still in place")
			}
			if left := recipe.Processes(t, "sleep 600"); len(left) > 0 {
				t.Errorf("these processes are left of it: %v", left)
			}
			isInPlace(t, "v1", "0", "1")
		})
	}
	load.StopLossless("v1")
}

// Broken on purpose, and seen red: no trap of HUP; no lock; supervisorctl inherits
// the lock.
func TestNeitherAnInterruptionNorAnotherUpgradeIsInTheWay(t *testing.T) {
	install(t)
	prepare(t, recipe.Server)
	recipe.StopUpgrade(t, upgrade, syscall.SIGHUP)
	isInPlace(t, "v1", "0", "1")
	recipe.Type(t, "Upgrade")
	recipe.Type(t, "Roll back")
}

// Broken on purpose, and seen red: upgrade.sh takes a new release that does not serve for one
// that has never taken over, and stops it.
func TestAReleaseThatCrashesWhenItHasTakenOverIsInPlace(t *testing.T) {
	install(t)
	await(t, "0", "RUNNING")
	slow := filepath.Join(t.TempDir(), "server")
	recipe.Write(t, slow, `#!/bin/sh
[ ! -e /tmp/again ] || sleep 8
touch /tmp/again
exec `+recipe.Server+` "$@"
`, 0o755)
	prepare(t, slow)
	v1, err := strconv.Atoi(strings.TrimSpace(recipe.Run(t, "supervisorctl", "pid", "overlap-0")))
	if err != nil {
		t.Fatal(err)
	}
	recipe.KillAfter(t, v1, "slots/1/overlap.yaml")
	recipe.Refuses(t, upgrade+" v2 --soak 2s", "v1 has left, and v2 does not serve")
	recipe.Eventually(t, "v2 serves again", func() bool { return recipe.Serving("v2") })
	isInPlace(t, "v2", "1", "0")
}

// Broken on purpose, and seen red: upgrade.sh asks for the release by its name.
func TestAnotherServiceMayHaveReleasesOfTheSameNames(t *testing.T) {
	install(t)
	const other = "setsid -f " + recipe.Server + " serve --addr 127.0.0.1:809"
	recipe.Shell(t, other+"1 --release v1\n"+other+"2 --release v2")
	t.Cleanup(func() { recipe.Kill(t, "127.0.0.1:809") })
	recipe.Eventually(t, "the other one serves", func() bool { return recipe.Serving("v2") })
	recipe.Write(t, release2+"/server", recipe.BrokenReleases()["ends"], 0o755)
	recipe.Copy(t, "overlap.yaml", release2+"/overlap.yaml")
	recipe.Refuses(t, upgrade+" v2 --ready-timeout 3s", "v1 is still in place")
	isInPlace(t, "v1", "0", "1")
	prepare(t, recipe.Server)
	recipe.Run(t, upgrade, "v2")
	isInPlace(t, "v2", "1", "0")
}

func TestRefusesWhatItCannotPutInPlace(t *testing.T) {
	install(t)
	recipe.Refuses(t, upgrade+" v9", "there is no /opt/overlap/releases/v9/server")
	recipe.Refuses(t, upgrade+" v1", "v1 is in place already")
	for _, args := range []string{"", " ../etc", " --soak 2s v2"} {
		recipe.Refuses(t, upgrade+args, "Usage: upgrade.sh RELEASE")
	}
	isInPlace(t, "v1", "0", "1")
	recipe.Run(t, "supervisorctl", "stop", "overlap-0")
	prepare(t, recipe.Server)
	recipe.Refuses(t, upgrade+" v2", "no slot runs")
}

// prepare puts a program where v2 is.
func prepare(t *testing.T, program string) {
	t.Helper()
	recipe.Copy(t, program, release2+"/server")
	recipe.Write(t, release2+"/overlap.yaml", "release: v2\naddr: :8080\naccess-log: false\n", 0o644)
}

const release2 = "/opt/overlap/releases/v2"

// What endless was blamed for: the supervisor has to know the process that serves.
func TestSupervisordKnowsTheProcessThatServes(t *testing.T) {
	install(t)
	recipe.Type(t, "Upgrade")
	await(t, "1", "RUNNING")
	pid := strings.TrimSpace(recipe.Run(t, "supervisorctl", "pid", "overlap-1"))
	if status := recipe.Run(t, recipe.Server, "status"); !strings.Contains(status, pid) {
		t.Errorf("the process that serves is not %s", pid)
	}
	recipe.Run(t, "kill", "-KILL", pid)
	recipe.Eventually(t, "supervisord has started v2 again", func() bool {
		again, _ := exec.Command("supervisorctl", "pid", "overlap-1").Output()
		return strings.TrimSpace(string(again)) != pid && recipe.Serving("v2")
	})
}

// Broken on purpose, and seen red: exitcodes=0.
func TestAReleaseThatWasToldToLeaveStaysAway(t *testing.T) {
	const log = "/var/log/supervisor/supervisord.log"
	for code, drain := range map[int]string{0: "30s", 3: "1s"} {
		t.Run("exit code "+strconv.Itoa(code), func(t *testing.T) {
			install(t)
			recipe.Shell(t, "echo drain-timeout: "+drain+" >>/opt/overlap/releases/v1/overlap.yaml")
			recipe.Run(t, "supervisorctl", "restart", "overlap-0")
			if code != 0 {
				recipe.Start(t, "curl", "--silent", url+"/slow?for=1m")
				recipe.Eventually(t, "it is asked", func() bool {
					return strings.Contains(recipe.Run(t, recipe.Server, "status", "--json"), `"active":1`)
				})
			}
			if err := os.Truncate(log, 0); err != nil {
				t.Fatal(err)
			}
			recipe.Run(t, "supervisorctl", "signal", "TERM", "overlap-0")
			said := ""
			recipe.Eventually(t, "it has left", func() bool {
				text, err := os.ReadFile(log)
				said = string(text)
				return err == nil && strings.Contains(said, "exited: overlap-0")
			})
			if !strings.Contains(said, "exit status "+strconv.Itoa(code)+"; expected") {
				t.Errorf("supervisord starts it again: %s", said)
			}
		})
	}
}

func TestARebootStartsTheReleaseInPlace(t *testing.T) {
	install(t)
	recipe.Type(t, "Upgrade")
	powerCut(t)
	boot(t)
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
	if recipe.Serving("v1") {
		t.Error("v1 serves, too")
	}
}

// Broken on purpose, and seen red: the lines of both slots are changed, and both restarted.
func TestTheLinesOfASlotCanBeChanged(t *testing.T) {
	install(t)
	recipe.Type(t, "Upgrade")
	recipe.Type(t, "Roll back")
	load := recipe.StartLoad(t, url)
	recipe.Type(t, "Change the lines of a slot")
	isInPlace(t, "v2", "1", "0")
	load.StopLossless("v1", "v2")
}

func TestWhatTheOverlapTakes(t *testing.T) {
	install(t)
	prepare(t, recipe.Server)
	recipe.MeasureUpgrade(t, url, upgrade)
}

// install does what the README says, on a machine where supervisord runs, and undoes it when
// the test has ended.
func install(t *testing.T) {
	recipe.Need(t, "supervisord", "supervisor")
	t.Cleanup(func() {
		powerCut(t)
		recipe.Run(t, "sh", "-c", "userdel overlap; rm -r /opt/overlap /etc/supervisor/conf.d/overlap-*")
	})
	boot(t)
	recipe.Type(t, "Install")
	recipe.Eventually(t, "v1 serves", func() bool { return recipe.Serving("v1") })
}

// await waits until supervisord says that a slot is in a state. A process is RUNNING after a
// second; one that ends before has not started at all.
func await(t *testing.T, slot, state string) {
	t.Helper()
	recipe.Eventually(t, "slot "+slot+" is "+state, func() bool {
		out, _ := exec.Command("supervisorctl", "status", "overlap-"+slot).Output()
		return strings.Contains(string(out), " "+state+" ")
	})
}

// boot starts the supervisord of the machine, with the configuration that Debian gives it.
func boot(t *testing.T) {
	recipe.Run(t, "supervisord", "-c", "/etc/supervisor/supervisord.conf")
	recipe.Eventually(t, "supervisord answers", func() bool { return exec.Command("supervisorctl", "pid").Run() == nil })
}

func powerCut(t *testing.T) {
	recipe.Kill(t, "/usr/bin/supervisord")
	recipe.Kill(t, "/opt/overlap/")
	recipe.Kill(t, "sleep 600")
}

// isInPlace says that a release serves in its slot, and that the other one is free.
func isInPlace(t *testing.T, release, slot, free string) {
	t.Helper()
	if is, err := os.Readlink("/opt/overlap/slots/" + slot); is != "../releases/"+release {
		t.Errorf("slot %s is %q, not %s: %v", slot, is, release, err)
	}
	if is, err := os.Readlink("/opt/overlap/slots/" + free); err == nil {
		t.Errorf("slot %s should be free, and is %q", free, is)
	}
	if !recipe.Serving(release) {
		t.Errorf("%s does not serve", release)
	}
}
