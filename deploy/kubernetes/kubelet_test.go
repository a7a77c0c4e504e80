package kubernetes

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/deploy/internal/recipe"
	"sigs.k8s.io/yaml"
)

// object is a part of a manifest. The module in schema knows the types.
type object = map[string]any

// workload is what a manifest says, as far as somebody has to act on it.
type workload struct {
	minReady time.Duration
	grace    int
	period   time.Duration // of the readiness probe
	ready    []string
	spec     object
}

func read(t *testing.T, path string) workload {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Spec struct {
			MinReadySeconds int
			Template        struct{ Spec object }
		}
	}
	if err := yaml.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	spec := manifest.Spec.Template.Spec
	probe := container(spec)["readinessProbe"].(object)
	w := workload{
		minReady: time.Duration(manifest.Spec.MinReadySeconds) * time.Second,
		grace:    int(spec["terminationGracePeriodSeconds"].(float64)),
		period:   time.Duration(probe["periodSeconds"].(float64)) * time.Second,
		spec:     spec,
	}
	for _, word := range probe["exec"].(object)["command"].([]any) {
		w.ready = append(w.ready, word.(string))
	}
	return w
}

func container(spec object) object { return spec["containers"].([]any)[0].(object) }

// engine prepares podman for a sealed machine, which has no systemd.
func engine(t *testing.T) {
	t.Helper()
	recipe.Need(t, "podman", "podman")
	recipe.Need(t, "runc", "runc")
	recipe.Need(t, "catatonit", "catatonit")
	recipe.Write(t, "/etc/containers/containers.conf", `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
`, 0o644)
	// Of overlayfs the upper directory cannot be on another one, which the root is here.
	recipe.Run(t, "sh", "-c", "mountpoint -q /var/lib/containers || { mkdir -p /var/lib/containers && mount -t tmpfs containers /var/lib/containers; }")
	t.Cleanup(func() { recipe.Run(t, "podman", "pod", "rm", "--all", "--force", "--time", "1") })
}

// node is where pods of a workload run. It does what the controller of DaemonSets and the
// kubelet do, in their order.
type node struct {
	t *testing.T
	workload
}

// create makes the pod of a release from the template, as it is but for the probes, which
// are asked by us. Podman's own need timers of systemd.
func (n node) create(release string, env ...string) {
	n.t.Helper()
	spec := n.template(release)
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		c := container(spec)
		c["env"] = append(c["env"].([]any), object{"name": name, "value": value})
	}
	n.play(release, spec)
}

func (n node) template(release string) object {
	n.t.Helper()
	text, err := yaml.Marshal(n.spec)
	if err != nil {
		n.t.Fatal(err)
	}
	var spec object
	if err := yaml.Unmarshal(text, &spec); err != nil {
		n.t.Fatal(err)
	}
	c := container(spec)
	c["image"] = "localhost/overlap:" + release
	for _, probe := range []string{"readinessProbe", "livenessProbe", "startupProbe"} {
		delete(c, probe)
	}
	return spec
}

func (n node) play(release string, spec object) {
	n.t.Helper()
	pod, err := yaml.Marshal(object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": "overlap-" + release}, "spec": spec,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	path := n.t.TempDir() + "/pod.yaml"
	recipe.Write(n.t, path, string(pod), 0o644)
	recipe.Run(n.t, "podman", "kube", "play", path)
}

// probe asks the instance of a pod, by the command of the manifest, inside its container.
func (n node) probe(release string, command ...string) error {
	out, err := exec.Command("podman", append([]string{"exec", "overlap-" + release + "-server"}, command...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// available says whether a pod is ready within some time, and then for minReadySeconds.
func (n node) available(release string, within time.Duration) bool {
	deadline := time.Now().Add(within)
	var since time.Time
	for tick := time.NewTicker(n.period); ; <-tick.C {
		switch err := n.probe(release, n.ready...); {
		case err != nil:
			since = time.Time{}
			n.t.Logf("%s is not ready: %v", release, err)
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= n.minReady:
			return true
		}
		if since.IsZero() && time.Now().After(deadline) {
			return false
		}
	}
}

// remove ends a pod as the kubelet does: TERM, and KILL after the grace period.
func (n node) remove(release string) time.Duration {
	n.t.Helper()
	start := time.Now()
	recipe.Run(n.t, "podman", "pod", "stop", "--time", strconv.Itoa(n.grace), "overlap-"+release)
	took := time.Since(start)
	log := recipe.Run(n.t, "sh", "-c", "podman logs overlap-"+release+"-server 2>&1 | tail -n 2")
	if !strings.Contains(log, `"lossless":true`) {
		n.t.Errorf("%s has not left without a loss: %s", release, log)
	}
	recipe.Run(n.t, "podman", "pod", "rm", "--force", "overlap-"+release)
	return took
}

// replace is what happens on one node when the image of the workload changes. It is false
// where the next release does not become available, and the old one stays.
func (n node) replace(old, next string) bool {
	n.t.Helper()
	n.create(next)
	if !n.available(next, 30*time.Second) {
		return false
	}
	n.t.Logf("%s took %.1f s to leave", old, n.remove(old).Seconds())
	return true
}
