// Package kubernetes tests the recipe for Kubernetes. There is no kubelet here: podman runs
// the pod of the manifests, and the test does what a kubelet would, in its order. The module
// in schema decodes the manifests, and checks what nobody here can run.
//
// Broken on purpose, and seen red: pods are killed, the grace period being 0 (83 of 52 548
// requests lost); readiness asks whether an instance is alive.
package kubernetes

import (
	"os"
	"testing"
	"time"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

const url = "http://127.0.0.1:8080"

// prepared is a node on which the first release is available.
func prepared(t *testing.T) node {
	t.Helper()
	engine(t)
	recipe.Type(t, "Install")
	n := node{t, read(t, "daemonset/daemonset.yaml")}
	n.create("v1")
	if !n.available("v1", 30*time.Second) {
		t.Fatal("v1 does not become available")
	}
	return n
}

func TestARollingUpdateOfTheDaemonSetLosesNothing(t *testing.T) {
	n := prepared(t)
	costs := recipe.NewCosts(t)
	recipe.Type(t, "Upgrade")
	load := recipe.StartLoad(t, url)
	costs.Measure("v1 alone", "v1")
	n.create("v2")
	if !n.available("v2", 30*time.Second) {
		t.Fatal("v2 does not become available")
	}
	costs.Measure("both", "v1", "v2")
	t.Logf("v1 took %.1f s to leave", n.remove("v1").Seconds())
	costs.Measure("v2 alone", "v2")
	if !n.replace("v2", "v1") {
		t.Error("v1 does not become available again")
	}
	load.StopLossless("v1", "v2")
}

func TestABrokenReleaseLeavesTheOldPodServing(t *testing.T) {
	n := prepared(t)
	load := recipe.StartLoad(t, url)
	for release, env := range map[string]string{
		"ends":  "OVERLAP_DRAIN_TIMEOUT=soon", // a bad value: exit code 78
		"hangs": "OVERLAP_DARK=true",          // ready for nobody, and lives
	} {
		recipe.Run(t, "podman", "tag", "localhost/overlap:v1", "localhost/overlap:"+release)
		n.create(release, env)
		if n.available(release, 5*time.Second) {
			t.Errorf("%s is available", release)
		}
		if alive := n.probe(release, "/server", "probe", "--alive") == nil; alive != (release == "hangs") {
			t.Errorf("%s is alive: %v", release, alive)
		}
		recipe.Run(t, "podman", "pod", "rm", "--force", "overlap-"+release)
		if err := n.probe("v1", n.ready...); err != nil {
			t.Errorf("v1, beside %s: %v", release, err)
		}
	}
	load.StopLossless("v1")
}
