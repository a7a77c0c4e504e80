package bare

import (
	"os"
	"path/filepath"
	"slices"
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

// Broken on purpose, and seen red: start.sh puts the server in the background, so that "server
// upgrade" sees it end; --retire plain in overlap.yaml; upgrade.sh moves no link.
func TestUpgradesAndRollsBackUnderLoad(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	recipe.Type(t, "Upgrade")
	isInPlace(t, "v2")
	recipe.Type(t, "Roll back")
	isInPlace(t, "v1")
	load.StopLossless("v1", "v2")
}

// Broken on purpose, and seen red: upgrade.sh moves the link of a release that did not start.
func TestABrokenReleaseLeavesTheRunningOneAlone(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	for what, program := range recipe.BrokenReleases() {
		t.Run(what, func(t *testing.T) {
			recipe.Write(t, program2, program, 0o755)
			out := recipe.Fails(t, upgrade, "v2", "--ready-timeout", "2s")
			if !strings.Contains(out, "v1 is still in place") {
				t.Error("it does not say that v1 is still in place")
			}
			if left := recipe.Processes(t, "sleep 600"); len(left) > 0 {
				t.Errorf("these processes are left of it: %v", left)
			}
			isInPlace(t, "v1")
		})
	}
	load.StopLossless("v1")
}

// Broken on purpose, and seen red: no trap, or none of HUP; no lock; what is started inherits
// the lock.
func TestNeitherAnInterruptionNorAnotherUpgradeIsInTheWay(t *testing.T) {
	install(t)
	recipe.Copy(t, recipe.Server, program2)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		recipe.StopUpgrade(t, upgrade, signal)
		isInPlace(t, "v1")
		if recipe.Serving("v2") {
			t.Error("v2 still serves")
		}
	}
	recipe.Run(t, upgrade, "v2")
	recipe.Run(t, upgrade, "v1")
}

// Its exit code is not 0, for it could not say the verdict. Broken on purpose, and seen red: PIPE
// ends "server upgrade".
func TestAnUpgradeWhoseOutputNobodyReadsGoesOn(t *testing.T) {
	install(t)
	recipe.Copy(t, recipe.Server, program2)
	recipe.Shell(t, "sh -c '"+upgrade+" v2 --soak 1s; echo $? >/tmp/code' 2>&1 | head -n 1; grep -x 1 /tmp/code")
	isInPlace(t, "v2")
}

// Broken on purpose, and seen red: without a look at who serves.
func TestRefusesWhatItCannotPutInPlace(t *testing.T) {
	install(t)
	recipe.Copy(t, recipe.Server, program2)
	recipe.Refuses(t, upgrade+" v9", "there is no program /opt/overlap/releases/v9/server")
	recipe.Refuses(t, "/opt/overlap/start.sh v9", "there is no program /opt/overlap/releases/v9/server")
	recipe.Refuses(t, upgrade+" v1", "v1 is in place already")
	recipe.Refuses(t, upgrade+" v1 v2 x", "v1 is in place already")
	for _, args := range []string{"", " ../etc", " --soak 2s v2"} {
		recipe.Refuses(t, upgrade+args, "Usage: upgrade.sh RELEASE")
	}
	recipe.Refuses(t, "setpriv --reuid 65534 --clear-groups "+upgrade+" v2", "run it as root")
	isInPlace(t, "v1")

	recipe.Kill(t, "/opt/overlap/")
	recipe.Refuses(t, upgrade+" v1", "current points to v1, which does not serve")
	recipe.Refuses(t, upgrade+" v2", "current points to v1, which does not serve")
	recipe.Run(t, "rm", "-r", "/opt/overlap/releases/v1")
	recipe.Refuses(t, upgrade+" v2", "current points to v1, and there is no program")
	recipe.Refuses(t, "/opt/overlap/start.sh", "there is no program /opt/overlap/releases/v1/server")
	recipe.Run(t, "rm", "/opt/overlap/current")
	recipe.Refuses(t, upgrade+" v2", "there is no link /opt/overlap/current to the running release")
	recipe.Refuses(t, "/opt/overlap/start.sh", "there is no program")
}

// Who has crashed does not serve on. Broken on purpose, and seen red: the link is moved by
// none but a good end.
func TestTheNewReleaseStaysWhereTheOldOneDiesMeanwhile(t *testing.T) {
	install(t)
	recipe.Copy(t, recipe.Server, program2)
	job := recipe.Start(t, upgrade, "v2", "--soak", "5s")
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
	recipe.Kill(t, "releases/v1/server serve")
	if out := job.Fails(); !strings.Contains(out, "stays in place") {
		t.Error("it does not say that v2 stays in place")
	}
	isInPlace(t, "v2")
	recipe.Copy(t, recipe.Server, "/opt/overlap/releases/v1/server")
	recipe.Type(t, "Roll back")
	isInPlace(t, "v1")
}

// Broken on purpose, and seen red: root asks who serves, whom all answer.
func TestAnotherServiceMayHaveReleasesOfTheSameNames(t *testing.T) {
	install(t)
	recipe.Copy(t, recipe.Server, program2)
	const other = "setsid -f setpriv --reuid 65534 --clear-groups " + recipe.Server + " serve --addr 127.0.0.1:809"
	recipe.Shell(t, other+"1 --release v1\n"+other+"2 --release v2")
	t.Cleanup(func() { recipe.Kill(t, "127.0.0.1:809") })
	recipe.Eventually(t, "the other one serves", func() bool { return recipe.Serving("v2") })
	recipe.Run(t, upgrade, "v2")
	isInPlace(t, "v2")
	recipe.Write(t, "/opt/overlap/releases/v1/server", recipe.BrokenReleases()["ends"], 0o755)
	if out := recipe.Fails(t, upgrade, "v1"); !strings.Contains(out, "v2 is still in place") || strings.Contains(out, "beside it") {
		t.Error("it takes the other service's v1 for its own")
	}
	isInPlace(t, "v2")
}

// Broken on purpose, and seen red: it keeps one release, or all of them; a release that has never
// served counts.
func TestKeepsFiveReleasesThatHaveServed(t *testing.T) {
	install(t)
	for _, broken := range []string{"v0", "x1", "x2"} {
		recipe.Write(t, "/opt/overlap/releases/"+broken+"/server", recipe.BrokenReleases()["ends"], 0o755)
		recipe.Fails(t, upgrade, broken)
	}
	for _, release := range []string{"v2", "v3", "v4", "v5", "v6", "v1", "v7"} {
		recipe.Copy(t, recipe.Server, "/opt/overlap/releases/"+release+"/server")
		recipe.Run(t, upgrade, release)
	}
	// v1 was put in place again after v6.
	dirs, err := filepath.Glob("/opt/overlap/releases/*")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"v0", "v1", "v4", "v5", "v6", "v7", "x1", "x2"}
	for i := range dirs {
		dirs[i] = filepath.Base(dirs[i])
	}
	if !slices.Equal(dirs, want) {
		t.Errorf("it keeps %v, not %v", dirs, want)
	}
}

// Broken on purpose, and seen red: upgrade.sh moves no link.
func TestARebootStartsTheCurrentRelease(t *testing.T) {
	install(t)
	recipe.Type(t, "Upgrade")
	recipe.Kill(t, "/opt/overlap/")
	recipe.Run(t, "cron")
	t.Cleanup(func() { recipe.Kill(t, "cron") })
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
}

func TestItsDoctorFindsNoFault(t *testing.T) {
	install(t)
	recipe.Type(t, "Look first")
}

func TestWhatTheOverlapTakes(t *testing.T) {
	install(t)
	recipe.Copy(t, recipe.Server, program2)
	recipe.MeasureUpgrade(t, url, upgrade)
}

// The service must not be able to change what root runs. Broken on purpose, and seen red: the
// directory is its user's; start.sh stays root.
func TestAllOfItBelongsToRoot(t *testing.T) {
	install(t)
	recipe.Type(t, "Upgrade")
	if theirs := recipe.Run(t, "find", "/opt/overlap", "-user", "overlap", "-o", "!", "-type", "l", "-perm", "/022"); theirs != "" {
		t.Error("these others may change")
	}
	for _, pid := range recipe.Processes(t, "/opt/overlap/releases/") {
		if user := strings.TrimSpace(recipe.Run(t, "ps", "-o", "user=", "-p", strconv.Itoa(pid))); user != "overlap" {
			t.Errorf("process %d runs as %s", pid, user)
		}
	}
}

const program2 = "/opt/overlap/releases/v2/server"

// install does what the README says, and undoes it when the test has ended.
func install(t *testing.T) {
	recipe.Need(t, "cron", "cron")
	t.Cleanup(func() {
		recipe.Kill(t, "/opt/overlap/")
		recipe.Run(t, "sh", "-c", "userdel overlap; rm -r /opt/overlap /etc/cron.d/overlap")
	})
	recipe.Type(t, "Install")
}

func isInPlace(t *testing.T, release string) {
	t.Helper()
	if is, err := os.Readlink("/opt/overlap/current"); is != "releases/"+release {
		t.Errorf("current is %q, not %s: %v", is, release, err)
	}
	if !recipe.Serving(release) {
		t.Errorf("%s does not serve", release)
	}
}
