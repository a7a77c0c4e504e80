package systemd

import (
	"os"
	"strings"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

// Broken on purpose, and seen red: OVERLAP_RETIRE=plain in overlap.env; KillSignal=SIGKILL; no
// AF_UNIX in RestrictAddressFamilies.
func TestUpgradesAndRollsBackUnderLoad(t *testing.T) {
	s := install(t)
	load := recipe.StartLoad(t, url)
	recipe.Type(t, "Upgrade")
	isInPlace(t, s, "v2", "v1")
	recipe.Type(t, "Roll back")
	isInPlace(t, s, "v1", "v2")
	load.StopLossless("v1", "v2")
}

// Broken on purpose, and seen red: Type=simple.
func TestABrokenReleaseLeavesTheRunningOneAlone(t *testing.T) {
	for what, broken := range map[string]struct{ program, env string }{
		"ends":       {recipe.BrokenReleases()["ends"], ""},
		"hangs":      {recipe.BrokenReleases()["hangs"], ""},
		"misspelled": {"", "OVERLAP_DRAIN_TIMEOUT=soon\n"},
	} {
		t.Run(what, func(t *testing.T) {
			s := install(t)
			load := recipe.StartLoad(t, url)
			recipe.Copy(t, recipe.Server, program("v2"))
			if broken.program != "" {
				recipe.Write(t, program("v2"), broken.program, 0o755)
			}
			recipe.Write(t, "/etc/overlap/v2.env", broken.env, 0o600)
			dropIn(t, "overlap@v2.service", "TimeoutStartSec=3")
			recipe.Fails(t, "systemctl", "enable", "--now", "overlap@v2")
			recipe.Type(t, "When a release does not start")
			isInPlace(t, s, "v1", "v2")
			load.StopLossless("v1")
		})
	}
}

// Who pastes the commands of a page into a shell has it go on after a failure.
//
// Broken on purpose, and seen red: no "&&" in the README.
func TestWhoPastesAnUpgradeToABrokenReleaseKeepsTheOldOne(t *testing.T) {
	for _, section := range []string{"Upgrade", "Upgrade by the server"} {
		t.Run(section, func(t *testing.T) {
			s := install(t)
			t.Cleanup(func() { recipe.Copy(t, recipe.Server, recipe.Workplace+"/server") })
			recipe.Write(t, recipe.Workplace+"/server", recipe.BrokenReleases()["ends"], 0o755)
			load := recipe.StartLoad(t, url)
			recipe.Paste(t, section)
			recipe.Eventually(t, "systemd has given up", func() bool { return s.Show("overlap@v2", "ActiveState") == "failed" })
			recipe.Type(t, "When a release does not start")
			isInPlace(t, s, "v1", "v2")
			load.StopLossless("v1")

			recipe.Copy(t, recipe.Server, recipe.Workplace+"/server")
			recipe.Type(t, section)
			isInPlace(t, s, "v2", "v1")
		})
	}
}

func TestTheServersUpgradeSaysTheVerdict(t *testing.T) {
	s := install(t)
	load := recipe.StartLoad(t, url)
	out := recipe.Type(t, "Upgrade by the server")
	if !strings.Contains(out, "lossless: v2 took over") {
		t.Error("it does not say the verdict")
	}
	isInPlace(t, s, "v2", "v1")

	recipe.Copy(t, recipe.Server, program("v3"))
	recipe.Fails(t, "timeout", "--foreground", "--signal=INT", "6", // as one Ctrl-C
		recipe.Server, "upgrade", "--soak", "30s", "--release", "v3", "--", "systemctl", "start", "overlap@v3")
	isInPlace(t, s, "v2", "v3")

	recipe.Write(t, program("v3"), "#!/bin/sh\nexit 1\n", 0o755)
	recipe.Fails(t, recipe.Server, "upgrade", "--release", "v3", "--", "systemctl", "start", "overlap@v3")
	s.Systemctl("stop", "overlap@v3")
	isInPlace(t, s, "v2", "v3")
	load.StopLossless("v1", "v2", "v3")
}

// Whichever of the two is first tells v1 to leave.
func TestTheServersUpgradeAndTheDropInTogetherLeaveTheNewReleaseInPlace(t *testing.T) {
	s := install(t)
	commands := recipe.Section(t, "Upgrade by one command")
	recipe.Shell(t, commands[:strings.Index(commands, "install -D -t /opt/overlap/releases/")])
	load := recipe.StartLoad(t, url)
	recipe.Copy(t, recipe.Server, program("v2"))
	recipe.Shell(t, program("v1")+" upgrade --soak 2s --release v2 -- systemctl start overlap@v2 || true")
	isInPlace(t, s, "v2", "v1")
	load.StopLossless("v1", "v2")
}

// Broken on purpose, and seen red: no ExecStartPost; auto-retire.sh does not lock, disables
// nobody, or has the others retire by themselves ("server retire").
func TestAReleaseThatServesHasTheOthersRetire(t *testing.T) {
	s := install(t)
	load := recipe.StartLoad(t, url)
	recipe.Type(t, "Upgrade by one command")
	isInPlace(t, s, "v3", "v1")
	load.StopLossless("v1", "v3")

	recipe.Write(t, program("v4"), "#!/bin/sh\nexit 1\n", 0o755)
	recipe.Fails(t, "systemctl", "start", "overlap@v4")
	recipe.Eventually(t, "systemd has given up", func() bool { return s.Show("overlap@v4", "ActiveState") == "failed" })
	isInPlace(t, s, "v3", "v4")

	// It has used up its tries.
	recipe.Copy(t, recipe.Server, program("v4"))
	recipe.Fails(t, "systemctl", "start", "overlap@v4")
	if journal := recipe.Run(t, "journalctl", "-u", "overlap@v4"); !strings.Contains(journal, "Start request repeated too quickly") {
		t.Error("the journal does not say why")
	}
	s.Systemctl("reset-failed", "overlap@v4")

	// One that dies while it leaves stays away.
	answer := get(t, "/slow?for=1m")
	recipe.Eventually(t, "the request is at v3", isBusy)
	job := recipe.Start(t, "systemctl", "start", "overlap@v4")
	recipe.Eventually(t, "v3 leaves", func() bool { return s.Show("overlap@v3", "ActiveState") == "deactivating" })
	s.Systemctl("kill", "--signal=KILL", "overlap@v3")
	job.Succeeds()
	<-answer
	isInPlace(t, s, "v4", "v3")

	// Of two that are started at once one stays.
	recipe.Copy(t, recipe.Server, program("v2"))
	recipe.Shell(t, "systemctl start overlap@v1 & systemctl start overlap@v2 || true; wait")
	if stays := enabled(t); len(stays) != 1 || !recipe.Serving(stays[0]) {
		t.Errorf("these are enabled: %v", stays)
	}
	if recipe.Serving("v4") || recipe.Serving("v1") == recipe.Serving("v2") {
		t.Error("it is not one of them that serves")
	}
}

func TestARebootStartsTheEnabledRelease(t *testing.T) {
	s := install(t)
	recipe.Type(t, "Upgrade")
	s.Reboot()
	isInPlace(t, s, "v2", "v1")
}

// Broken on purpose, and seen red: notify.go never says EXTEND_TIMEOUT_USEC; Type=simple.
func TestADrainMayTakeLongerThanTimeoutStopSec(t *testing.T) {
	s := install(t)
	dropIn(t, "overlap@.service", "TimeoutStopSec=2")
	answer := get(t, "/slow?for=6s")
	recipe.Eventually(t, "the request is at v1", isBusy)
	start(t, "v2")
	s.Systemctl("stop", "--no-block", "overlap@v1")
	recipe.Eventually(t, "systemd hears how far v1 is", func() bool {
		return strings.HasPrefix(s.Show("overlap@v1", "StatusText"), "retiring: linger, 1 busy, 0 idle, cuts in ")
	})
	// Its exit code says that v1 is not active; systemctl(1).
	if status := recipe.Fails(t, "systemctl", "status", "overlap@v1"); !strings.Contains(status, `Status: "retiring: linger`) {
		t.Error("systemctl status does not say it")
	}
	if got, want := <-answer, "hello from v1 after 6s\n"; got != want {
		t.Errorf("the answer is %q, not %q", got, want)
	}
	recipe.Eventually(t, "v1 has stopped", func() bool { return s.Show("overlap@v1", "ActiveState") != "deactivating" })
	if result := s.Show("overlap@v1", "Result"); result != "success" {
		t.Errorf("the result of v1 is %s", result)
	}
}

// systemd has no way back from STOPPING=1, so it must not have been said.
// Broken on purpose, and seen red: it is said in the first phase.
func TestARetirementThatIsTakenBackIsNoStop(t *testing.T) {
	s := install(t)
	start(t, "v2")
	s.Systemctl("kill", "--signal=STOP", "overlap@v2") // so v1 waits for somebody to take over
	recipe.Run(t, recipe.Server, "retire", "--no-wait", "v1")
	recipe.Eventually(t, "systemd hears that v1 retires", func() bool {
		return strings.HasPrefix(s.Show("overlap@v1", "StatusText"), "retiring: steer")
	})
	recipe.Run(t, recipe.Server, "retire", "--undo", "v1")
	recipe.Eventually(t, "systemd hears that v1 serves", func() bool {
		return s.Show("overlap@v1", "StatusText") == "serving v1 on [::]:8080"
	})
	if is := s.Show("overlap@v1", "SubState"); is != "running" {
		t.Errorf("v1 is %s", is)
	}
}

// Broken on purpose, and seen red: Restart=no; notify.go gives no sign of life.
func TestAnInstanceThatHangsIsStartedAgain(t *testing.T) {
	s := install(t)
	dropIn(t, "overlap@.service", "WatchdogSec=2")
	s.Systemctl("restart", "overlap@v1")
	if got, want := <-get(t, "/slow?for=3s"), "hello from v1 after 3s\n"; got != want {
		t.Errorf("it is killed while it lives: %q", got)
	}
	s.Systemctl("kill", "--signal=STOP", "overlap@v1")
	recipe.Eventually(t, "v1 is started again", func() bool {
		return s.Show("overlap@v1", "NRestarts") == "1" && recipe.Serving("v1")
	})
	if journal := recipe.Run(t, "journalctl", "-u", "overlap@v1"); !strings.Contains(journal, "SIGABRT: abort") {
		t.Error("its goroutines are not in the journal")
	}
}

// Broken on purpose, and seen red: Restart=always; no RestartPreventExitStatus.
func TestWhatIsStartedAgain(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		s := install(t)
		s.Systemctl("kill", "--signal=KILL", "overlap@v1")
		recipe.Eventually(t, "v1 is started again", func() bool {
			return s.Show("overlap@v1", "NRestarts") == "1" && recipe.Serving("v1")
		})
	})
	t.Run("not who was told to leave", func(t *testing.T) {
		s := install(t)
		recipe.Run(t, recipe.Server, "retire", "v1")
		isLeftAs(t, s, "dead", "0")
	})
	t.Run("not who has cut something", func(t *testing.T) {
		s := install(t)
		recipe.Write(t, "/etc/overlap/v1.env", "OVERLAP_DRAIN_TIMEOUT=500ms\n", 0o600)
		s.Systemctl("restart", "overlap@v1")
		answer := get(t, "/slow?for=1m")
		recipe.Eventually(t, "the request is at v1", isBusy)
		recipe.Fails(t, recipe.Server, "retire", "v1")
		<-answer
		isLeftAs(t, s, "failed", "3")
	})
	t.Run("not what is configured wrong", func(t *testing.T) {
		s := install(t)
		recipe.Write(t, "/etc/overlap/v1.env", "OVERLAP_DRAIN_TIMEOUT=soon\n", 0o600)
		recipe.Fails(t, "systemctl", "restart", "overlap@v1")
		isLeftAs(t, s, "failed", "78")
	})
}

// Broken on purpose, and seen red: no DynamicUser.
func TestInstancesOfATemplateShareThePortAndUnitsOfTwoNamesDoNot(t *testing.T) {
	s := install(t)
	start(t, "v2")
	if v1, v2 := user(t, s, "overlap@v1"), user(t, s, "overlap@v2"); v1 != v2 || v1 == "root" {
		t.Errorf("v1 runs as %s, v2 as %s", v1, v2)
	}
	load := recipe.StartLoad(t, url)
	recipe.Eventually(t, "both answer", func() bool { return answers(t, "v1") && answers(t, "v2") })
	load.StopLossless("v1", "v2")

	unit, err := os.ReadFile("overlap@.service")
	if err != nil {
		t.Fatal(err)
	}
	recipe.Write(t, units+"/overlap-green.service", strings.ReplaceAll(string(unit), "%i", "v2"), 0o644)
	s.Systemctl("daemon-reload")
	recipe.Fails(t, "systemctl", "start", "overlap-green")
	journal := recipe.Run(t, "journalctl", "-u", "overlap-green")
	if !strings.Contains(journal, "Only processes of one user share a port") {
		t.Error("it does not say who holds the port")
	}
}

// Broken on purpose, and seen red: no AmbientCapabilities.
func TestServesAPortBelow1024WithoutRoot(t *testing.T) {
	s := install(t)
	recipe.Type(t, "A port below 1024")
	load := recipe.StartLoad(t, "http://127.0.0.1:80")
	recipe.Type(t, "Upgrade")
	if name := user(t, s, "overlap@v2"); name == "root" {
		t.Error("it runs as root")
	}
	load.StopLossless("v1", "v2")
}

func TestAUserOfTheNameOfTheTemplateMayHaveKeys(t *testing.T) {
	recipe.Need(t, "openssl", "openssl")
	t.Cleanup(func() { recipe.Run(t, "userdel", "overlap") })
	s := install(t)
	recipe.Shell(t, "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem")
	recipe.Type(t, "Certificates and keys")
	recipe.Type(t, "Upgrade")
	if name := user(t, s, "overlap@v2"); name != "overlap" {
		t.Errorf("it runs as %s", name)
	}
	if answer := recipe.Run(t, "curl", "--insecure", "-sS", "https://127.0.0.1:8080"); answer != "hello from v2\n" {
		t.Error("it does not speak TLS")
	}
}

func TestReloadIsRefused(t *testing.T) {
	s := install(t)
	pid := s.Show("overlap@v1", "MainPID")
	recipe.Fails(t, "systemctl", "reload", "overlap@v1")
	s.Systemctl("kill", "--signal=HUP", "overlap@v1")
	recipe.Eventually(t, "the journal says why HUP does nothing", func() bool {
		return strings.Contains(recipe.Run(t, "journalctl", "-u", "overlap@v1"), "start the next release as a unit of its own")
	})
	if now := s.Show("overlap@v1", "MainPID"); now != pid {
		t.Errorf("process %s is in the place of %s", now, pid)
	}
}

func TestTheQueueOfAListenerIsLong(t *testing.T) {
	recipe.Need(t, "ss", "iproute2")
	s := install(t)
	limit, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	isQueue := func(length string) {
		t.Helper()
		for line := range strings.Lines(recipe.Run(t, "ss", "-Hltn", "sport = 8080")) {
			if got := strings.Fields(line)[2]; got != length {
				t.Errorf("%s connections may wait, not %s", got, length)
			}
		}
	}
	isQueue(strings.TrimSpace(string(limit)))
	dropIn(t, "overlap@.service", "ProcSubset=pid")
	s.Systemctl("restart", "overlap@v1")
	isQueue("128")
}

func TestTheDoctorSeesWhatTheReleaseWillSee(t *testing.T) {
	install(t)
	recipe.Copy(t, "60-overlap.conf", "/etc/sysctl.d/60-overlap.conf")
	recipe.Run(t, "/lib/systemd/systemd-sysctl", "/etc/sysctl.d/60-overlap.conf")
	out := recipe.Type(t, "Look first")
	if !strings.Contains(out, "migrate    on") {
		t.Error("it does not see the sysctl")
	}
}

// Broken on purpose, and seen red: a misspelt key; no CapabilityBoundingSet.
func TestSystemdAnalyzeFindsNothing(t *testing.T) {
	install(t)
	recipe.Run(t, "systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=17", units+"/overlap@.service")
	recipe.Type(t, "Upgrade by one command")
	recipe.Copy(t, "port-below-1024.conf", units+"/overlap@.service.d/port-below-1024.conf")
	if out := recipe.Run(t, "systemd-analyze", "verify", "overlap@v1.service"); out != "" {
		t.Error("it finds something")
	}
}

func TestWhatTheOverlapTakes(t *testing.T) {
	s := install(t)
	load, costs := recipe.StartPacedLoad(t, url), recipe.NewCosts(t)
	costs.Measure("before", "v1")
	start(t, "v2")
	costs.Measure("both serve", "v1", "v2")
	s.Systemctl("stop", "overlap@v1")
	costs.Measure("after", "v2")
	load.StopLossless("v1", "v2")
}
