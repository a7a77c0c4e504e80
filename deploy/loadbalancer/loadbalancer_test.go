package loadbalancer

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

const url = "http://127.0.0.1"

// hosts are where the service runs: each has releases of its own, which know nothing of
// those of the others.
var hosts = []string{"127.0.0.1", "127.0.0.2"}

// Broken on purpose, and seen red, with both: the releases retire as everybody does (--retire
// plain).
func TestNginxSeesNothingOfARollingUpgrade(t *testing.T) {
	recipe.Need(t, "nginx", "nginx-light")
	boot(t, "nginx")
	behindNginx(t)
	rollThrough(t)
	complaints, err := os.ReadFile("/var/log/nginx/error.log")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(complaints)) {
		if strings.Contains(line, "upstream") {
			t.Errorf("nginx says: %s", line)
		}
	}
}

func TestHAProxySeesNothingOfARollingUpgrade(t *testing.T) {
	recipe.Need(t, "haproxy", "haproxy")
	s := boot(t, "haproxy")
	recipe.Type(t, "HAProxy")
	recipe.Type(t, "HAProxy") // as who is not sure whether he has
	rollThrough(t)
	if s.Show("haproxy", "SubState") != "running" || len(recipe.Processes(t, "haproxy -D")) > 0 {
		t.Error("it is not systemd's HAProxy that runs, or not alone")
	}
	for _, host := range statistics(t) {
		for _, count := range []string{"econ", "eresp", "wretr", "wredis", "chkfail", "chkdown"} {
			if host[count] != "0" {
				t.Errorf("HAProxy has counted for %s: %s %s", host["svname"], count, host[count])
			}
		}
	}
}

func TestWhatTheOverlapTakes(t *testing.T) {
	recipe.Need(t, "nginx", "nginx-light")
	boot(t, "nginx")
	behindNginx(t)
	load, costs := recipe.StartPacedLoad(t, url), recipe.NewCosts(t)
	costs.Measure("before", "v1-127.0.0.1", "v1-127.0.0.2")
	done := make(chan struct{})
	go func() {
		defer close(done)
		upgrade(t, "127.0.0.1", "v1", "v2", "--soak", "5s")
	}()
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2-127.0.0.1") })
	costs.Measure("both serve", "v1-127.0.0.1", "v2-127.0.0.1", "v1-127.0.0.2")
	<-done
	load.StopLossless("v1-127.0.0.1", "v1-127.0.0.2", "v2-127.0.0.1")
}

// behindNginx does what the README says. The workers from before, which know nothing of the
// service, accept connections for a moment longer.
func behindNginx(t *testing.T) {
	t.Helper()
	before := recipe.Processes(t, "nginx: worker")
	recipe.Type(t, "nginx")
	recipe.Eventually(t, "the workers from before have gone", func() bool {
		return !slices.ContainsFunc(recipe.Processes(t, "nginx: worker"), func(pid int) bool { return slices.Contains(before, pid) })
	})
}

// rollThrough upgrades one host after the other under load, tries a broken release, goes back,
// and all of that five times.
func rollThrough(t *testing.T) {
	t.Helper()
	recipe.Eventually(t, "the service answers through the proxy", func() bool {
		answer, _ := exec.Command("curl", "-fs", url).Output()
		return strings.HasPrefix(string(answer), "hello from v1") // and not nginx, of itself
	})
	load := recipe.StartLoad(t, url)
	for range 5 {
		for _, host := range hosts {
			upgrade(t, host, "v1", "v2")
		}
		for _, host := range hosts {
			recipe.Fails(t, recipe.Server, "upgrade", "--from", "v2-"+host, "--",
				recipe.Server, "serve", "--addr", host+":8080", "--linger-timeout", "long")
		}
		for _, host := range hosts {
			upgrade(t, host, "v2", "v1")
		}
	}
	load.StopLossless("v1-127.0.0.1", "v1-127.0.0.2", "v2-127.0.0.1", "v2-127.0.0.2")
}

// boot boots a machine on which the balancer runs, as its package has made it, and the first
// release on each host.
func boot(t *testing.T, balancer string) *recipe.Systemd {
	t.Helper()
	s := recipe.BootSystemd(t)
	recipe.Run(t, "systemd-tmpfiles", "--create", "--prefix=/run/haproxy") // as at any boot
	s.Systemctl("start", balancer)
	for _, host := range hosts {
		recipe.Run(t, "sh", "-c", fmt.Sprintf("setsid -f %s serve --addr %s:8080 --release v1-%s --access-log=false >/tmp/v1-%s.log 2>&1",
			recipe.Server, host, host, host))
	}
	for _, host := range hosts {
		recipe.Eventually(t, "v1 serves on "+host, func() bool { return recipe.Serving("v1-" + host) })
	}
	return s
}

func upgrade(t *testing.T, host, from, to string, flags ...string) {
	t.Helper()
	command := append([]string{"upgrade", "--from", from + "-" + host, "--log", "/tmp/" + to + ".log"}, flags...)
	recipe.Run(t, recipe.Server, append(command, "--",
		recipe.Server, "serve", "--addr", host+":8080", "--release", to+"-"+host, "--access-log=false")...)
}

// statistics asks HAProxy what it has counted for each host.
func statistics(t *testing.T) (all []map[string]string) {
	t.Helper()
	out := recipe.Run(t, "sh", "-c", "echo show stat | socat - /run/haproxy/admin.sock")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(out, "# ")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		host := make(map[string]string)
		for i, name := range rows[0] {
			host[name] = row[i]
		}
		if strings.HasPrefix(host["svname"], "host") {
			all = append(all, host)
		}
	}
	if len(all) != len(hosts) {
		t.Fatalf("HAProxy knows %d hosts", len(all))
	}
	return all
}
