package systemd

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

const (
	url   = "http://127.0.0.1:8080"
	units = "/etc/systemd/system"
	links = units + "/multi-user.target.wants"
)

// install boots a machine on which nothing is left of another test, and does what the README
// says.
func install(t *testing.T) *recipe.Systemd {
	t.Helper()
	for _, pattern := range []string{"/opt/overlap", "/etc/overlap", units + "/overlap*", links + "/overlap*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := recipe.BootSystemd(t)
	recipe.Type(t, "Install")
	return s
}

// start starts a release beside those that run.
func start(t *testing.T, release string) {
	t.Helper()
	recipe.Copy(t, recipe.Server, program(release))
	recipe.Run(t, "systemctl", "start", "overlap@"+release)
}

func program(release string) string { return "/opt/overlap/releases/" + release + "/server" }

func dropIn(t *testing.T, unit, line string) {
	t.Helper()
	recipe.Write(t, units+"/"+unit+".d/test.conf", "[Service]\n"+line+"\n", 0o644)
	recipe.Run(t, "systemctl", "daemon-reload")
}

// isInPlace says that a release serves, now and after the next boot, and that another one
// does neither.
func isInPlace(t *testing.T, s *recipe.Systemd, release, not string) {
	t.Helper()
	if !recipe.Serving(release) || recipe.Serving(not) {
		t.Errorf("%s does not serve, or %s does: %s", release, not, recipe.Run(t, recipe.Server, "status"))
	}
	if is := s.Show("overlap@"+release, "SubState"); is != "running" {
		t.Errorf("systemd takes %s for %s", release, is)
	}
	if is := s.Show("overlap@"+not, "SubState"); is != "dead" && is != "failed" {
		t.Errorf("systemd takes %s for %s", not, is)
	}
	if boots := enabled(t); len(boots) != 1 || boots[0] != release {
		t.Errorf("the next boot starts %v", boots)
	}
}

// isLeftAs says in which state v1 has been left, and its exit code.
func isLeftAs(t *testing.T, s *recipe.Systemd, state, code string) {
	t.Helper()
	recipe.Eventually(t, "v1 has ended", func() bool { return s.Show("overlap@v1", "ActiveState") != "active" })
	if is, exited := s.Show("overlap@v1", "SubState"), s.Show("overlap@v1", "ExecMainStatus"); is != state || exited != code {
		t.Errorf("v1 is %s, exit code %s", is, exited)
	}
}

func enabled(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(links + "/overlap@*.service")
	if err != nil {
		t.Fatal(err)
	}
	for i, link := range found {
		found[i] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(link), "overlap@"), ".service")
	}
	return found
}

// user returns the name of the user of a unit that runs.
func user(t *testing.T, s *recipe.Systemd, unit string) string {
	t.Helper()
	return strings.TrimSpace(recipe.Run(t, "ps", "-o", "user=", "-p", s.Show(unit, "MainPID")))
}

// isBusy says whether a request is being answered.
func isBusy() bool {
	all, _ := exec.Command(recipe.Server, "status", "--json").Output()
	return strings.Contains(string(all), `"active":1`)
}

// get sends a request, and sends what was answered, or why nothing was.
func get(t *testing.T, path string) <-chan string {
	answer := make(chan string, 1)
	go func() {
		// An idle connection would keep v1 for as long as it lingers.
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := c.Get(url + path)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(body)
	}()
	return answer
}

// answers says whether a new connection came to a release.
func answers(t *testing.T, release string) bool {
	t.Helper()
	return strings.Contains(recipe.Run(t, "curl", "-sS", url), release)
}
