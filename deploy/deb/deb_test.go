package deb

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

const url = "http://127.0.0.1:8080"

// Broken on purpose, and seen red: the old release is stopped before the new one is started;
// KillSignal=SIGKILL; a symbolic link in the place of the hard one.
func TestUpgradesAndRollsBackUnderLoad(t *testing.T) {
	s := install(t)
	load := recipe.StartLoad(t, url)
	recipe.Type(t, "Upgrade")
	isInPlace(t, s, "1.1.0")
	recipe.Type(t, "Roll back")
	isInPlace(t, s, "1.0.0")
	recipe.Type(t, "Roll back in a hurry")
	isInPlace(t, s, "1.1.0")
	if is := recipe.Run(t, "/usr/lib/overlap/releases/1.1.0/server", "version"); !strings.Contains(is, " 1.1.0 ") {
		t.Error("its program is not that of 1.1.0")
	}
	load.StopLossless("1.0.0", "1.1.0")
}

// Broken on purpose, and seen red: a release is enabled for good before it is ready; postinst
// ends with 0.
func TestABrokenReleaseLeavesTheRunningOneAlone(t *testing.T) {
	s := install(t)
	recipe.Write(t, "/etc/systemd/system/overlap@.service.d/start.conf", "[Service]\nTimeoutStartSec=3\n", 0o644)
	t.Cleanup(func() { os.RemoveAll("/etc/systemd/system/overlap@.service.d") })
	load := recipe.StartLoad(t, url)
	for i, program := range []string{
		recipe.BrokenReleases()["ends"],
		recipe.BrokenReleases()["hangs"],
	} {
		version := fmt.Sprintf("1.1.%d", i+1)
		out := recipe.Fails(t, "apt-get", "install", "-y", repack(t, version, program))
		for _, says := range []string{version + " did not get ready", "journalctl -u overlap@" + version, "serves on, and at the next boot: overlap@1.0.0.service"} {
			if !strings.Contains(out, says) {
				t.Errorf("apt-get does not say %q", says)
			}
		}
		isInPlace(t, s, "1.0.0")
		if left := recipe.Processes(t, "sleep 600"); len(left) > 0 {
			t.Errorf("these processes are left of it: %v", left)
		}
	}
	load.StopLossless("1.0.0")
	s.Reboot()
	recipe.Eventually(t, "1.0.0 serves after a reboot", func() bool { return recipe.Serving("1.0.0") })
	load = recipe.StartLoad(t, url)
	apt(t, "install", file("2.0.0~rc1"))
	isInPlace(t, s, "2.0.0_rc1")
	load.StopLossless("1.0.0", "2.0.0_rc1")
}

// Broken on purpose, and seen red: what did not start stays on disk.
func TestAFirstReleaseThatIsBrokenIsFollowedByAGoodOne(t *testing.T) {
	s := boot(t)
	recipe.Fails(t, "apt-get", "install", "-y", repack(t, "0.9.0", "#!/bin/sh\nexit 1\n"))
	recipe.Fails(t, "dpkg", "--configure", "overlap")
	if s.Show("overlap@0.9.0", "UnitFileState") == "enabled" {
		t.Error("the next boot starts it")
	}
	apt(t, "install", file("1.0.0"))
	isInPlace(t, s, "1.0.0")
}

// Broken on purpose, and seen red: prerm stops nothing; postrm leaves the programs of releases.
func TestWhatIsRemovedHasStopped(t *testing.T) {
	s := install(t)
	before := files(t)
	recipe.Type(t, "Remove")
	if left := recipe.Processes(t, "/usr/lib/overlap"); len(left) > 0 || recipe.Serving("1.0.0") {
		t.Errorf("these processes are left: %v", left)
	}
	if state := s.Show("overlap@1.0.0", "LoadState"); state != "not-found" {
		t.Errorf("systemd still knows its unit, which is %s", state)
	}
	if left := files(t); strings.TrimSpace(left) != "/etc/overlap\n/etc/overlap/overlap.env" {
		t.Errorf("of these files\n%s there are left\n%s", before, left)
	}
	apt(t, "install", file("1.1.0"))
	isInPlace(t, s, "1.1.0")
	recipe.Write(t, "/etc/overlap/1.1.0.env", "OVERLAP_SPREAD=2s\n", 0o644)
	recipe.Type(t, "Purge")
	if left := files(t); left != "" || recipe.Serving("1.1.0") {
		t.Errorf("these files are left:\n%s", left)
	}
}

// As in a container image, which is built where no systemd runs.
//
// Broken on purpose, and seen red: no release is ever removed from the disk.
func TestAnImageStartsTheReleaseThatWasInstalledLast(t *testing.T) {
	packages(t)
	t.Cleanup(func() { purge(t) })
	apt(t, "install", file("1.0.0"))
	for _, version := range []string{"1.0.1", "1.0.2", "1.0.3"} {
		apt(t, "install", repack(t, version, ""))
	}
	if recipe.Serving("1.0.0") || recipe.Serving("1.0.3") {
		t.Error("it was started")
	}
	onDisk(t, "1.0.1", "1.0.2", "1.0.3")
	s := boot(t)
	recipe.Eventually(t, "1.0.3 serves", func() bool { return recipe.Serving("1.0.3") })
	isInPlace(t, s, "1.0.3")
}

// Broken on purpose, and seen red: policy-rc.d is not asked; a mask is not looked for; a
// release is started where all others are stopped; those that run are removed, too.
func TestTheAdministratorHasTheLastWord(t *testing.T) {
	s := install(t)

	recipe.Write(t, policy, "#!/bin/sh\nexit 101\n", 0o755)
	for _, version := range []string{"1.0.1", "1.0.2", "1.0.3"} {
		apt(t, "install", repack(t, version, ""))
		if !recipe.Serving("1.0.0") || recipe.Serving(version) {
			t.Errorf("%s was started against policy-rc.d", version)
		}
	}
	if s.Show("overlap@1.0.0", "UnitFileState") == "enabled" || s.Show("overlap@1.0.3", "UnitFileState") != "enabled" {
		t.Error("the next boot starts another one than 1.0.3")
	}
	onDisk(t, "1.0.0", "1.0.1", "1.0.2", "1.0.3") // 1.0.0 runs
	recipe.Run(t, "rm", policy)

	s.Systemctl("mask", "overlap@1.1.0")
	apt(t, "install", file("1.1.0"))
	if !recipe.Serving("1.0.0") || recipe.Serving("1.1.0") {
		t.Error("1.1.0 was started, and it is masked")
	}
	s.Systemctl("unmask", "overlap@1.1.0")
	apt(t, "install", "--reinstall", file("1.1.0"))
	isInPlace(t, s, "1.1.0")

	s.Systemctl("disable", "--now", "overlap@1.1.0")
	apt(t, "install", file("2.0.0~rc1"))
	if recipe.Serving("2.0.0_rc1") || s.Show("overlap@2.0.0_rc1", "UnitFileState") == "enabled" {
		t.Error("2.0.0~rc1 was started, and all others are stopped and disabled")
	}
}

func TestWhatTheOverlapTakes(t *testing.T) {
	install(t)
	load, costs := recipe.StartPacedLoad(t, url), recipe.NewCosts(t)
	costs.Measure("before", "1.0.0")
	release := hold(t)
	done := make(chan struct{})
	go func() { defer close(done); recipe.Type(t, "Upgrade") }()
	recipe.Eventually(t, "1.1.0 serves", func() bool { return recipe.Serving("1.1.0") })
	costs.Measure("the old one leaves", "1.0.0", "1.1.0")
	release()
	<-done
	costs.Measure("after", "1.1.0")
	load.StopLossless("1.0.0", "1.1.0")
}

// hold begins a request that keeps the release that runs from leaving, until it is released.
func hold(t *testing.T) (release func()) {
	body, w := io.Pipe()
	held := make(chan error, 1)
	go func() {
		// A connection that is kept would keep it, too.
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(url+"/echo", "text/plain", body)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		held <- err
	}()
	if _, err := w.Write([]byte("held")); err != nil {
		t.Fatal(err)
	}
	return func() {
		w.Close()
		if err := <-held; err != nil {
			t.Errorf("the request that was held: %v", err)
		}
	}
}
