// Package schema decodes what Kustomize makes of the manifests, with the types of the API,
// and checks what this recipe depends on. There is no API server here, so this is all that
// is known of the fields that podman does not look at.
//
// Broken on purpose, and seen red: a misspelt field; a port; a grace period of 30 s; maxSurge
// is 0, maxUnavailable 1; another user in one of them, or in the image; a network of the pod's
// own; a probe by another command; startup and liveness that ask for readiness;
// podAntiAffinity; a root file system that can be written; other resources in one of them.
package schema

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// decode builds a folder as "kubectl apply -k" does, and decodes it. A field that the API
// does not know is an error.
func decode(t *testing.T, folder string, into any) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("..", folder))
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
}

func daemonSet(t *testing.T) (ds apps.DaemonSet) {
	t.Helper()
	decode(t, "daemonset", &ds)
	return ds
}

func deployment(t *testing.T) (d apps.Deployment) {
	t.Helper()
	decode(t, "deployment", &d)
	return d
}

func pods(t *testing.T) map[string]core.PodSpec {
	t.Helper()
	return map[string]core.PodSpec{
		"daemonset":  daemonSet(t).Spec.Template.Spec,
		"deployment": deployment(t).Spec.Template.Spec,
	}
}

func TestTheNewPodComesBeforeTheOldOneGoes(t *testing.T) {
	one, none := intstr.FromInt32(1), intstr.FromInt32(0)
	ds, d := daemonSet(t), deployment(t)
	if s := ds.Spec.UpdateStrategy; s.Type != apps.RollingUpdateDaemonSetStrategyType || *s.RollingUpdate.MaxSurge != one || *s.RollingUpdate.MaxUnavailable != none {
		t.Errorf("daemonset: %v", s)
	}
	if s := d.Spec.Strategy; s.Type != apps.RollingUpdateDeploymentStrategyType || *s.RollingUpdate.MaxSurge != one || *s.RollingUpdate.MaxUnavailable != none {
		t.Errorf("deployment: %v", s)
	}
	if ds.Spec.MinReadySeconds < 1 || d.Spec.MinReadySeconds != ds.Spec.MinReadySeconds {
		t.Errorf("minReadySeconds: %d and %d", ds.Spec.MinReadySeconds, d.Spec.MinReadySeconds)
	}
}

func TestTheNewPodOfTheDeploymentComesToTheNodeOfTheOldOne(t *testing.T) {
	d := deployment(t)
	affinity := d.Spec.Template.Spec.Affinity
	if affinity.PodAntiAffinity != nil || affinity.PodAffinity == nil {
		t.Fatalf("affinity: %v", affinity)
	}
	term := affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0]
	if term.TopologyKey != core.LabelHostname {
		t.Errorf("topologyKey: %s", term.TopologyKey)
	}
	for name, value := range term.LabelSelector.MatchLabels {
		if d.Spec.Template.Labels[name] != value {
			t.Errorf("the pod has no label %s=%s, which it is looked for by", name, value)
		}
	}
}

func TestTwoPodsFitOnOneNodeAndShareItsPort(t *testing.T) {
	user := regexp.MustCompile(`(?m)^USER 65532:65532$`)
	if image, err := os.ReadFile("../Containerfile"); err != nil || !user.Match(image) {
		t.Errorf("the user of the image is another one: %v", err)
	}
	for name, pod := range pods(t) {
		if !pod.HostNetwork || pod.HostPID {
			t.Errorf("%s: host network %v, host processes %v", name, pod.HostNetwork, pod.HostPID)
		}
		if ports := pod.Containers[0].Ports; len(ports) > 0 {
			t.Errorf("%s has ports, of which the scheduler allows one for each node: %v", name, ports)
		}
		if uid := pod.SecurityContext.RunAsUser; uid == nil || *uid != 65532 || pod.Containers[0].SecurityContext.RunAsUser != nil {
			t.Errorf("%s: the user is not always the same", name)
		}
	}
}

func TestNobodyIsKilledWhileItDrains(t *testing.T) {
	const margin = 5 * time.Second // a last scrape takes up to 3
	for name, pod := range pods(t) {
		env := pod.Containers[0].Env
		i := slices.IndexFunc(env, func(e core.EnvVar) bool { return e.Name == "OVERLAP_DRAIN_TIMEOUT" })
		drain, err := time.ParseDuration(env[i].Value)
		if err != nil {
			t.Fatal(err)
		}
		if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < drain+margin {
			t.Errorf("%s: %v to end, of which draining takes %v", name, grace, drain)
		}
	}
}

func TestProbesAskTheInstanceOfTheirContainer(t *testing.T) {
	for name, pod := range pods(t) {
		c := pod.Containers[0]
		for kind, p := range map[string]struct {
			probe *core.Probe
			want  []string
		}{
			"readiness": {c.ReadinessProbe, []string{"/server", "probe"}},
			"liveness":  {c.LivenessProbe, []string{"/server", "probe", "--alive"}},
			"startup":   {c.StartupProbe, []string{"/server", "probe", "--alive"}},
		} {
			if p.probe == nil || p.probe.Exec == nil || !slices.Equal(p.probe.Exec.Command, p.want) {
				t.Errorf("%s: the %s probe is not %v: %v", name, kind, p.want, p.probe)
			} else if p.probe.TimeoutSeconds < 3 {
				t.Errorf("%s: the %s probe has %d s; an instance may take 2 s to answer", name, kind, p.probe.TimeoutSeconds)
			}
		}
	}
}

func TestAPodMayDoNothingButServe(t *testing.T) {
	for name, pod := range pods(t) {
		sc, p := pod.Containers[0].SecurityContext, pod.SecurityContext
		if !*p.RunAsNonRoot || p.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: %v", name, p)
		}
		if *sc.AllowPrivilegeEscalation || !*sc.ReadOnlyRootFilesystem || !slices.Equal(sc.Capabilities.Drop, []core.Capability{"ALL"}) {
			t.Errorf("%s: %v", name, sc)
		}
		if *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
			t.Errorf("%s gets a token, or variables of services", name)
		}
	}
}

// What both are made of must not drift apart.
func TestBothWorkloadsRunTheSamePod(t *testing.T) {
	all := pods(t)
	alone := all["deployment"]
	alone.Affinity = nil
	one, err1 := yaml.Marshal(all["daemonset"])
	two, err2 := yaml.Marshal(alone)
	if err1 != nil || err2 != nil || string(one) != string(two) {
		t.Errorf("%v %v\n%s\n%s", err1, err2, one, two)
	}
}
