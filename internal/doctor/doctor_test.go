package doctor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// Hosts that we do not have. What can be made of this one is in cmd/server.
//
// Broken on purpose, and seen red: each case is a check that says ok instead.

// well is what is seen where all is well: v1 serves on two CPUs.
func well() *sight {
	v1 := control.Found{Here: true, Status: control.Status{
		Release: "v1", PID: 41, State: "serving", Tier: "lossless", Ports: []control.Port{{Addr: "[::]:8080", Pinned: true}},
		Connections: control.Connections{Fresh: 1, Active: 2, Idle: 3, Hijacked: 4, Closing: 5},
	}}
	member := listen.Member{
		Addr: "[::]:8080", Shares: true, Ours: true, User: "1000 (app)", PID: 41, Program: "v1", Backlog: listen.Fact[int]{Value: 4096},
	}
	return &sight{
		host: listen.Host{
			Tier:       listen.Tier{Lossless: true},
			Kernel:     listen.Fact[listen.Kernel]{Value: listen.Kernel{Release: "6.12.90-cloud"}},
			Somaxconn:  listen.Fact[int]{Value: 4096},
			LocalPorts: listen.Fact[listen.Range]{Value: listen.Range{First: 32768, Last: 60999}},
			Files:      listen.Fact[int]{Value: 524288},
			Online:     listen.Fact[[]int]{Value: []int{0, 1}},
			Allowed:    listen.Fact[[]int]{Value: []int{0, 1}},
		},
		instances: []control.Found{v1},
		places:    []listen.Place{{Addr: "[::]:8080", Port: 8080, Members: []listen.Member{member, member}}},
	}
}

func find(t *testing.T, s *sight, check string) Finding {
	t.Helper()
	all := s.findings()
	i := slices.IndexFunc(all, func(f Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("there is no check %s", check)
	}
	return all[i]
}

func TestAllIsWellWhereItIs(t *testing.T) {
	all := well().findings()
	if len(all) != len(Checks()) {
		t.Errorf("%d findings of %d checks", len(all), len(Checks()))
	}
	for _, f := range all {
		if f.Result != OK || f.Says == "" || f.Remedy != "" {
			t.Errorf("%+v", f)
		}
	}
}

func TestWhatIsNotWellIsSaidWithItsRemedy(t *testing.T) {
	no := errors.New("not here")
	kernel := func(release string) func(*sight) {
		return func(s *sight) { s.host.Kernel.Value.Release = release }
	}
	for _, c := range []struct {
		check  string
		broken func(*sight)
		result Result
		says   string
	}{
		{"kernel", func(s *sight) { kernel("5.10.0-35-amd64")(s); s.host.Tier.Lossless = false }, Fault, "5.10.0-35-amd64 is too old"},
		{"kernel", kernel("5.14.0-570.el9"), OK, "5.14.0"}, // it steers: somebody has ported that
		{"kernel", func(s *sight) { s.host.Kernel.Err = no }, Unknown, "not here"},
		{"steering", func(s *sight) { s.host.Tier = listen.Tier{Why: "it does not steer"} }, Fault, "it does not steer"},
		{"sandbox", kernel("4.19.0-gvisor"), Fault, "gVisor"},
		{"sandbox", func(s *sight) { s.host.Seccomp.Value = 2 }, OK, "filter"},
		{"sandbox", func(s *sight) { s.host.Seccomp.Err = no }, Unknown, "not here"},
		{"barrier", func(s *sight) { s.host.Barrier = syscall.EPERM }, Warning, "200 ms"},
		{"netlink", func(s *sight) { s.host.Diag = syscall.EAFNOSUPPORT }, Warning, "IPv6-only"},
		{"endpoint", func(s *sight) { s.endpoint = syscall.EAFNOSUPPORT }, Warning, "status"},
		{"endpoint", func(s *sight) { s.endpoint, s.NotifySocket = syscall.EAFNOSUPPORT, "/run/notify" }, Fault, "supervisor"},
		{"endpoint", func(s *sight) { s.blind = no }, Unknown, "not here"},
		{"migrate", func(s *sight) { kernel("6.12.85")(s); s.host.Migrate.Value = true }, Warning, "CVE-2026-46015"},
		{"migrate", func(s *sight) { s.host.Migrate.Value = true }, OK, "on: "},
		{"migrate", kernel("6.12.85"), OK, "better so"},
		{"migrate", func(s *sight) { s.host.Migrate.Err = no }, Unknown, "not here"},
		{"cpus", func(s *sight) { s.host.Online.Err = os.ErrNotExist }, Fault, "no instance can start"},
		{"cpus", func(s *sight) { s.host.Allowed.Value = []int{1, 2} }, Fault, "CPU 2"},
		{"cpus", func(s *sight) { s.host.Allowed.Value = []int{1} }, OK, "may run on 1"},
		{"cpus", func(s *sight) { s.host.Allowed.Err = no }, Unknown, "not here"},
		{"files", func(s *sight) { s.host.Files.Value = 15 }, Fault, "15 connections"},
		{"files", func(s *sight) { s.host.Files.Value = 1024 }, Warning, "not many"},
		{"files", func(s *sight) { s.host.Files.Value, s.instances[0].Connections.Idle = 5000, 3000 }, Warning, "not many"},
		{"files", func(s *sight) { s.host.Files.Err = no }, Unknown, "not here"},
		{"somaxconn", func(s *sight) { s.host.Somaxconn.Value = 128 }, Warning, "burst"},
		{"somaxconn", func(s *sight) { s.host.Somaxconn.Err = os.ErrNotExist }, Warning, "128 connections wait"},
		{"secrets", func(s *sight) { s.Secrets = no }, Fault, "not here"},
		{"cover", func(s *sight) { s.host.Online.Value = []int{0, 1, 2} }, Fault, "v1 (pid 41) has 2 sockets for 3 CPUs"},
		{"cover", func(s *sight) { s.host.Online.Err = no }, Unknown, "not here"},
		{"rotation", func(s *sight) { s.instances[0].Err = no }, Fault, "not here"},
		{"rotation", func(s *sight) { s.instances[0].Tier, s.instances[0].Why = "best-effort", "it was blind" }, Fault, "it was blind"},
		{"rotation", func(s *sight) { s.instances[0].State = "retiring" }, Warning, "v1 (pid 41) is retiring"},
		{"rotation", func(s *sight) { s.instances[0].Ports[0].Pinned = false }, Warning, "not in rotation"},
		{"strangers", func(s *sight) { s.blind = no }, Unknown, "not here"},
		{"strangers", func(s *sight) { s.instances = nil }, Fault, "pid 41 (v1) listens here"},
		{"localport", func(s *sight) { s.host.LocalPorts.Err = no }, Unknown, "not here"},
		{"localport", func(s *sight) { s.host.LocalPorts.Value.First, s.host.Reserved.Err = 1024, no }, Unknown, "not here"},
	} {
		s := well()
		c.broken(s)
		expect(t, find(t, s, c.check), c.result, c.says)
	}
}

func expect(t *testing.T, f Finding, result Result, says string) {
	t.Helper()
	if f.Result != result || !strings.Contains(f.Says, says) {
		t.Errorf("%s is %v, %q: want %v, %q", f.Check, f.Result, f.Says, result, says)
	}
	if wants := result == Warning || result == Fault; wants != (f.Remedy != "") {
		t.Errorf("%s is %v, %q, and its remedy %q", f.Check, f.Result, f.Says, f.Remedy)
	}
}

func TestWhoElseIsOnAnAddress(t *testing.T) {
	no := errors.New("not here")
	for _, c := range []struct {
		check  string
		broken func(*sight, *listen.Place)
		result Result
		says   string
	}{
		{"bind", func(_ *sight, p *listen.Place) { p.Bind = syscall.EACCES }, Fault, "privileged"},
		{"bind", func(_ *sight, p *listen.Place) { p.Bind = syscall.EADDRNOTAVAIL }, Fault, "no interface"},
		{"bind", func(_ *sight, p *listen.Place) { p.Bind = fmt.Errorf("%w: held by X. Stop it", syscall.EADDRINUSE) }, Fault, "held by X"},
		{"bind", func(_ *sight, p *listen.Place) { p.Bind = syscall.EINVAL }, Fault, "invalid"},
		{"bind", func(_ *sight, p *listen.Place) { p.Port = 0 }, OK, "kernel chooses"},
		{"address", func(_ *sight, p *listen.Place) { p.Mismatch = errors.New("it overlaps. Move it") }, Fault, "it overlaps"},
		{"address", func(s *sight, p *listen.Place) {
			s.AllowMismatch, p.Mismatch = true, errors.New("it overlaps. Move it")
		}, Warning, "it overlaps"},
		{"address", func(_ *sight, p *listen.Place) { p.Members = nil }, OK, "nobody"},
		{"strangers", func(_ *sight, p *listen.Place) { p.Members[1].PID = 0 }, Warning, "cannot be seen"},
		{"strangers", func(s *sight, p *listen.Place) {
			p.Members[1].PID, p.Members[1].Socket, s.instances[0].Sockets = 0, 7, []uint64{7}
		}, OK, "none"},
		{"strangers", func(s *sight, p *listen.Place) {
			s.instances, p.Bind = nil, fmt.Errorf("%w: held by X. Stop it", syscall.EADDRINUSE)
		}, OK, "see bind"},
		{"strangers", func(s *sight, p *listen.Place) { s.instances, s.AllowStrangers = nil, true }, Warning, "pid 41 (v1) listens here"},
		{"strangers", func(s *sight, p *listen.Place) {
			p.Members[0].PID, p.Members[1].PID, s.instances[0].Here = 0, 0, false
		}, OK, "none"},
		{"strangers", func(s *sight, p *listen.Place) { s.instances[0].Here = false }, Fault, "pid 41 (v1) listens here"}, // another 41
		{"strangers", func(_ *sight, p *listen.Place) { p.Members[1].PID, p.Members[1].Ours = 7, false }, OK, "none"},
		{"mptcp", func(_ *sight, p *listen.Place) { p.Members[1].MPTCP.Value = true }, Warning, "pid 41 (v1) listens with MPTCP"},
		{"mptcp", func(s *sight, p *listen.Place) { p.Members[1].MPTCP.Err, s.host.MPTCP.Value = no, true }, Unknown, "sock_diag"},
		{"mptcp", func(_ *sight, p *listen.Place) { p.Members[1].MPTCP.Err = no }, OK, "none"}, // the kernel has it off
		{"localport", func(_ *sight, p *listen.Place) { p.Port = 40000 }, Warning, "no release can start"},
		{"localport", func(s *sight, p *listen.Place) {
			p.Port, s.host.Reserved.Value = 40000, []listen.Range{{First: 39999, Last: 40001}}
		}, OK, "reserved"},
		{"backlog", func(_ *sight, p *listen.Place) { p.Members[1].Queued = 4096 }, Warning, "is full"},
		{"backlog", func(_ *sight, p *listen.Place) { p.Members[1].Backlog.Value = 128 }, Warning, "128 connections may wait"},
		{"backlog", func(_ *sight, p *listen.Place) { p.Members[1].Backlog.Err = no }, Unknown, "not here"},
		{"rotation", func(s *sight, _ *listen.Place) { s.instances[0].Ports = nil }, OK, "instances: 1"}, // it listens here beside
		{"rotation", func(s *sight, p *listen.Place) {
			s.instances[0].Err, p.Members[0].Shares, p.Members[1].Shares = no, false, false
		}, Fault, "not here"},
	} {
		s := well()
		c.broken(s, &s.places[0])
		expect(t, find(t, s, c.check), c.result, c.says)
	}
}

func TestTheRemedyOfAnErrorIsToldApart(t *testing.T) {
	if o := told(Fault, errors.New("held by X. Stop it"), "otherwise"); o.says != "held by X" || o.remedy != "Stop it" {
		t.Errorf("%+v", o)
	}
	if o := told(Fault, errors.New("held"), "otherwise"); o.says != "held" || o.remedy != "otherwise" {
		t.Errorf("%+v", o)
	}
}

func TestVersionsOfKernels(t *testing.T) {
	for _, c := range []struct {
		kernel  listen.Kernel
		want    string
		forgets bool
	}{
		{listen.Kernel{Release: "6.18.44"}, "6.18.44", false},
		{listen.Kernel{Release: "6.18.26-arch1-1"}, "6.18.26", true},
		{listen.Kernel{Release: "6.1.0-39-amd64", Build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.148-1 (2025-08-26)"}, "6.1.148", true},
		{listen.Kernel{Release: "6.1.0-49-amd64", Build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-08-01)"}, "6.1.192", false},
		{listen.Kernel{Release: "6.8.0-45-generic", Build: "#45-Ubuntu SMP", Signature: "Ubuntu 6.8.0-45.45-generic 6.8.12"}, "6.8.12", true},
		{listen.Kernel{Release: "5.10.0-35-amd64"}, "5.10.0", false},
		{listen.Kernel{Release: "5.15.209"}, "5.15.209", false},
		{listen.Kernel{Release: "7.0.3"}, "7.0.3", true},
		{listen.Kernel{Release: "7.1-rc1"}, "7.1.0", false},
		{listen.Kernel{Release: "8.0.0"}, "8.0.0", false},
	} {
		v, known := versionOf(c.kernel)
		if !known || v.String() != c.want || v.forgetsToWake() != c.forgets {
			t.Errorf("%+v is %v, %v, forgets to wake: %v", c.kernel, v, known, v.forgetsToWake())
		}
	}
	if _, known := versionOf(listen.Kernel{Release: "Darwin"}); known {
		t.Error("it knows a version that is none")
	}
	if !isGVisor(listen.Kernel{Release: "4.4.0", Build: "#1 SMP Sun Jan 10 15:06:54 PST 2016"}) || isGVisor(listen.Kernel{Release: "4.4.0", Build: "#1 SMP"}) {
		t.Error("it takes one for the other")
	}
}

func TestCPUsAreListedAsTheKernelDoes(t *testing.T) {
	for want, cpus := range map[string][]int{"": nil, "0": {0}, "0-2,5,7-8": {0, 1, 2, 5, 7, 8}} {
		if got := list(cpus); got != want {
			t.Errorf("%v is %q, want %q", cpus, got, want)
		}
	}
}
