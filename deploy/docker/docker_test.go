package docker

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

// Broken on purpose, and seen red: upgrade.sh kills the old release; it does not tell Docker
// that who retires stays away, or that the new release is started again; a colour that is put
// away keeps its restart policy.
func TestUpgradesAndRollsBackUnderLoad(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	typed(t, "Upgrade")
	isInPlace(t, "v2", "green", "blue")
	if count := is(t, "overlap-blue", starts); count != "0" {
		t.Errorf("Docker has started v1 again, %s times", count)
	}
	typed(t, "Roll back")
	isInPlace(t, "v1", "blue", "green")
	load.StopLossless("v1", "v2")
}

// Broken on purpose, and seen red: upgrade.sh does not stop what is wrong; Docker starts again
// what has been stopped for being wrong (then it seems to be in place, and v1 is stopped).
func TestABrokenReleaseLeavesTheRunningOneAlone(t *testing.T) {
	install(t)
	load := recipe.StartLoad(t, url)
	for _, broken := range []struct{ release, lines, says string }{
		{"ends", `CMD ["no-such-verb"]`, "unknown verb"},
		{"hangs", `CMD ["status", "--watch"]`, "is not ready in time"},
		{"elsewhere", `CMD ["serve", "--addr", ":8081"]`, "give it the same addresses"},
		// The kernel would share the port with nobody else's: the release says so itself.
		{"other-user", "USER 65533:65533", "of user 65532 while this runs as user 65533"},
	} {
		t.Run(broken.release, func(t *testing.T) {
			image(t, broken.release, broken.lines)
			out := recipe.Fails(t, upgrade, broken.release, "--ready-timeout", "8s")
			for _, says := range []string{broken.says, "v1 is still in place"} {
				if !strings.Contains(out, says) {
					t.Errorf("it does not say %q", says)
				}
			}
			isInPlace(t, "v1", "blue", "green")
		})
	}
	load.StopLossless("v1")
}

// Broken on purpose, and seen red: "docker kill" for "docker stop".
func TestUpgradesWithPlainDocker(t *testing.T) {
	boot(t)
	recipe.Shell(t, "docker build -t overlap:v1 . && docker tag overlap:v1 overlap:v2")
	commands := recipe.Section(t, "Without Compose")
	first, _, _ := strings.Cut(commands, " &&")
	recipe.Shell(t, strings.ReplaceAll(first, "v2", "v1"))
	recipe.Eventually(t, "v1 serves", func() bool { return recipe.Serving("v1") })
	load := recipe.StartLoad(t, url)
	if out := recipe.Shell(t, commands); !strings.Contains(out, `"lossless":true`) {
		t.Error("the log of v1 has no verdict")
	}
	becomes(t, "overlap-v1", status, "exited")
	load.StopLossless("v1", "v2")
}

// Docker's own default is a KILL after 10 s, whatever the release has in flight. The recipe's
// is longer than OVERLAP_DRAIN_TIMEOUT. Broken on purpose, and seen red: no stop_grace_period.
func TestAStopIsAsLongAsTheRecipeSays(t *testing.T) {
	install(t)
	run(t, "short", "--env", "OVERLAP_ADDR=:8081")
	cut, whole := slow("http://127.0.0.1:8081"), slow(url)
	recipe.Eventually(t, "both are busy", func() bool { return strings.Count(statusJSON(), `"active":1`) == 2 })
	recipe.Shell(t, "docker stop short & docker stop overlap-blue; wait")
	if err := <-cut; err == nil {
		t.Error("a request of 12 s came through a stop of 10 s")
	}
	if err := <-whole; err != nil {
		t.Error(err)
	}
	for container, want := range map[string]string{"short": "137", "overlap-blue": "0"} {
		if got := is(t, container, code); got != want {
			t.Errorf("%s: exit code %s, not %s", container, got, want)
		}
	}
}

func statusJSON() string {
	out, _ := exec.Command(recipe.Server, "status", "--json").Output()
	return string(out)
}

// slow sends one request that takes 12 s, and says whether the whole answer has come.
func slow(url string) <-chan error {
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(url + "/slow?for=12s")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		answered <- err
	}()
	return answered
}

// Broken on purpose, and seen red: "restart: on-failure" (an orderly shutdown retires the
// release, which exits with 0, and is not started again).
func TestTheReleaseInPlaceComesBack(t *testing.T) {
	d := install(t)
	d.stop(t)
	d.start(t)
	recipe.Eventually(t, "v1 serves", func() bool { return recipe.Serving("v1") })
	typed(t, "Upgrade")
	for how, end := range map[string]func(*testing.T){
		"shutdown":  func(t *testing.T) { d.stop(t); d.start(t) },
		"power cut": func(t *testing.T) { d.cut(t); d.start(t) },
		"crash": func(t *testing.T) {
			recipe.Run(t, "kill", "-KILL", is(t, "overlap-green", itself))
			becomes(t, "overlap-green", starts, "1")
		},
	} {
		t.Run(how, func(t *testing.T) {
			end(t)
			recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
			if is(t, "overlap-blue", status) == "running" {
				t.Error("v1 runs, too")
			}
		})
	}
}

// Docker remembers who has told a container to leave: by "docker stop" or "docker kill" it
// stays away, by others it comes back.
func TestWhoHasRetiredStaysAwayIfDockerKnows(t *testing.T) {
	boot(t)
	recipe.Shell(t, "docker build -t overlap:v1 .")
	run(t, "stays", "--restart", "unless-stopped")
	for _, order := range [][]string{{"stop", "comes"}, {"kill", "--signal", "TERM", "comes"}} {
		run(t, "comes", "--restart", "unless-stopped")
		recipe.Run(t, "docker", order...)
		becomes(t, "comes", status, "exited")
		if count := is(t, "comes", starts); count != "0" {
			t.Errorf("after docker %v it was started again", order)
		}
		recipe.Fails(t, "docker", "kill", "comes") // it has left
		recipe.Run(t, "docker", "restart", "comes")
		recipe.Eventually(t, "a restart brings it back", func() bool { return recipe.Serving("comes") })
		recipe.Run(t, "docker", "rm", "--force", "comes")
	}
	run(t, "comes", "--restart", "unless-stopped")
	recipe.Run(t, recipe.Server, "retire", "comes")
	becomes(t, "comes", starts, "1")
}

// Each is process 1 of its container.
func TestContainersTellReleasesApart(t *testing.T) {
	boot(t)
	recipe.Shell(t, "docker build -t overlap:v1 .")
	run(t, "v1")
	run(t, "v2")
	table := recipe.Run(t, "docker", "exec", "v2", "/server", "status")
	if strings.Count(table, "serving") != 2 {
		t.Error("v2 does not see both")
	}
	recipe.Run(t, "docker", "exec", "v2", "/server", "retire", "v1")
	becomes(t, "v1", status, "exited")
	recipe.Run(t, "docker", "exec", "v2", "/server", "probe")
}

// Broken on purpose, and seen red: the probe of v1 waits for v2; a health check that is no probe.
func TestHealthIsThatOfTheContainersOwnInstance(t *testing.T) {
	boot(t)
	recipe.Shell(t, "docker build -t overlap:v1 .")
	soon := []string{"--health-interval", "500ms", "--health-timeout", "1s", "--health-retries", "1"}
	run(t, "v1", soon...)
	run(t, "v2", soon...)
	becomes(t, "v1", health, "healthy")
	becomes(t, "v2", health, "healthy")
	recipe.Run(t, "docker", "kill", "--signal", "STOP", "v2")
	becomes(t, "v2", health, "unhealthy")
	if got := is(t, "v1", health); got != "healthy" {
		t.Errorf("v1 is %s, because v2 hangs", got)
	}
	recipe.Run(t, "docker", "kill", "--signal", "CONT", "v2")
	becomes(t, "v2", health, "healthy")
}

func TestWhatTheOverlapTakes(t *testing.T) {
	install(t)
	recipe.Shell(t, "docker build -t overlap:v2 .")
	recipe.MeasureUpgrade(t, url, upgrade)
}

// Broken on purpose, and seen red: no trap of HUP; no lock.
func TestNeitherAnInterruptionNorAnotherUpgradeIsInTheWay(t *testing.T) {
	install(t)
	recipe.Shell(t, "docker build -t overlap:v2 .")
	recipe.StopUpgrade(t, upgrade, syscall.SIGHUP)
	isInPlace(t, "v1", "blue", "green")
}

// Broken on purpose, and seen red: upgrade.sh takes a new release that does not serve for one
// that has never taken over, and stops it.
func TestAReleaseThatCrashesWhenItHasTakenOverIsInPlace(t *testing.T) {
	install(t)
	recipe.Shell(t, "docker build -t overlap:v2 .")
	v1, err := strconv.Atoi(is(t, "overlap-blue", itself))
	if err != nil {
		t.Fatal(err)
	}
	recipe.KillAfter(t, v1, "/server serve")
	recipe.Shell(t, upgrade+" v2 || true") // v2 may be back already
	recipe.Eventually(t, "v2 serves again", func() bool { return recipe.Serving("v2") })
	isInPlace(t, "v2", "green", "blue")
}

// Broken on purpose, and seen red: without the second line of the message.
func TestAnUpgradeThatIsKilledIsPutRightAsItsMessageSays(t *testing.T) {
	d := install(t)
	recipe.Shell(t, "docker build -t overlap:v2 .")
	job := recipe.Start(t, upgrade, "v2", "--soak", "30s")
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
	job.Signal(syscall.SIGKILL)
	job.Fails()
	out := recipe.Fails(t, upgrade, "v2")
	said := regexp.MustCompile(`docker .* overlap-COLOUR`).FindAllString(out, -1)
	if len(said) != 2 {
		t.Fatalf("it says %q", said)
	}
	for i, colour := range []string{"blue", "green"} { // v2 is to stay
		recipe.Shell(t, strings.ReplaceAll(said[i], "COLOUR", colour))
	}
	d.stop(t)
	d.start(t)
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
	isInPlace(t, "v2", "green", "blue")
}

// Broken on purpose, and seen red: upgrade.sh asks for the release by its name.
func TestAnotherServiceMayHaveReleasesOfTheSameNames(t *testing.T) {
	install(t)
	for _, release := range []string{"v1", "v2"} {
		run(t, "other-"+release, "--env", "OVERLAP_RELEASE="+release, "--env", "OVERLAP_ADDR=127.0.0.1:809"+release[1:])
	}
	image(t, "v2", `CMD ["no-such-verb"]`)
	recipe.Refuses(t, upgrade+" v2", "v1 is still in place")
	isInPlace(t, "v1", "blue", "green")
	recipe.Shell(t, "docker build -t overlap:v2 . && "+upgrade+" v2")
	isInPlace(t, "v2", "green", "blue")
}

func TestRefusesWhatItCannotPutInPlace(t *testing.T) {
	install(t)
	recipe.Refuses(t, upgrade+" v9", "No such image: overlap:v9")
	recipe.Refuses(t, upgrade+" v1", "v1 is in place already")
	for _, args := range []string{"", " ../etc", " --soak 2s v2"} {
		recipe.Refuses(t, upgrade+args, "Usage: upgrade.sh RELEASE")
	}
	if !recipe.Serving("v1") {
		t.Error("v1 does not serve")
	}
}

// isInPlace says that a release serves in its colour, that a reboot would start it and no
// other, and that the other colour is free.
func isInPlace(t *testing.T, release, colour, free string) {
	t.Helper()
	if !recipe.Serving(release) {
		t.Errorf("%s does not serve", release)
	}
	const how = "{{.Config.Image}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}}"
	want := fmt.Sprintf("overlap:%s running unless-stopped", release)
	if got := is(t, "overlap-"+colour, how); got != want {
		t.Errorf("%s is %q, not %q", colour, got, want)
	}
	if got := is(t, "overlap-"+free, "{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}"); got != "exited no" {
		t.Errorf("%s should be free for good, and is %s", free, got)
	}
}
