package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/ba995850/overlap/internal/doctor"
)

// Worlds that are broken for real. Those that cannot be made are in internal/doctor.
//
// Broken on purpose, and seen red: the doctor listens; the bind is not tried; instances
// are not found; those at another address count; a fault is exit code 0; --strict,
// --allow-mismatch or NOTIFY_SOCKET changes nothing; --admin-addr is not looked at; secrets are not read; colours are
// printed where none should be.

// diagnosis is what the doctor says, by address and check.
type diagnosis map[string]map[string]any

func diagnosed(t *testing.T, r result) diagnosis {
	t.Helper()
	var all []map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		t.Fatalf("%v: exit code %d, %s%s", err, r.code, r.stdout, r.stderr)
	}
	byName := make(diagnosis)
	for _, f := range all {
		addr, _ := f["addr"].(string)
		byName[strings.TrimSpace(addr+" "+f["check"].(string))] = f
	}
	return byName
}

func examined(t *testing.T, args ...string) diagnosis {
	t.Helper()
	return diagnosed(t, call(nil, append([]string{"doctor", "--json"}, args...)...))
}

func (all diagnosis) expect(t *testing.T, name, result, says string) {
	t.Helper()
	f := all[name]
	if text, _ := f["says"].(string); f["result"] != result || !strings.Contains(text, says) {
		t.Errorf("%s is %v, want %s, %q", name, f, result, says)
	}
}

// neighbour listens with what else is wanted, and goes on until the test ends.
func neighbour(t *testing.T, addr string, mptcp, share bool) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	if share {
		lc.Control = reusePort
	}
	lc.SetMultipathTCP(mptcp)
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

func serving(t *testing.T, args ...string) (p *process, addr string) {
	t.Helper()
	p = start(t, append(args, "--access-log=false")...)
	return p, p.await(t, "state", "serving")["addr"].(string)
}

func TestTheDoctorFindsAHealthyServiceWell(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET, func(t *testing.T) {
		_, addr := serving(t, "--addr", ":8080", "--release", "v1")
		for name, f := range examined(t) {
			if f["result"] != "ok" && name != "migrate" {
				t.Errorf("%s is %v", name, f)
			}
		}
		got := call(nil, "doctor", "--strict")
		if got.code != 0 || got.stderr != "" || strings.Contains(got.stdout, "\x1b") {
			t.Errorf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
		}
		contains(t, got.stdout, "\n"+addr+"\n", "ok     rotation   instances: 1")
	})
}

func TestTheDoctorFindsWhoElseIsOnThePort(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET, func(t *testing.T) {
		_, v1 := serving(t, "--addr", "127.0.0.1:8080", "--release", "v1")
		examined(t, "--addr", v1).expect(t, v1+" strangers", "ok", "none")
		neighbour(t, v1, true, true)
		all := examined(t, "--addr", v1)
		all.expect(t, v1+" bind", "ok", "")
		all.expect(t, v1+" strangers", "fault", fmt.Sprintf("pid %d (", os.Getpid()))
		all.expect(t, v1+" mptcp", "warning", fmt.Sprintf("pid %d (", os.Getpid()))
		all.expect(t, v1+" rotation", "ok", "instances: 1")

		held := neighbour(t, "127.0.0.1:8081", false, false).Addr().String()
		all = examined(t, "--addr", held, "--addr", "0.0.0.0:8080", "--addr", "203.0.113.1:8080")
		all.expect(t, held+" bind", "fault", "without SO_REUSEPORT")
		all.expect(t, "[::]:8080 address", "fault", "overlaps")
		all.expect(t, "[::]:8080 rotation", "ok", "instances: 0") // v1 is no sibling there
		all.expect(t, "203.0.113.1:8080 bind", "fault", "no interface")
		examined(t, "--addr", "0.0.0.0:8080", "--allow-mismatch").expect(t, "[::]:8080 address", "warning", "overlaps")
	})
}

func TestTheDoctorLooksAtTheAddressForScrapesToo(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET, func(t *testing.T) {
		const admin = "127.0.0.1:9090"
		serving(t, "--addr", "127.0.0.1:8080", "--admin-addr", admin)
		args := []string{"--addr", "127.0.0.1:8080", "--admin-addr", admin}
		all := examined(t, args...)
		for _, check := range []string{"bind", "strangers", "rotation", "cover"} {
			all.expect(t, admin+" "+check, "ok", "")
		}
		neighbour(t, admin, false, true)
		examined(t, args...).expect(t, admin+" strangers", "fault", fmt.Sprintf("pid %d (", os.Getpid()))
	})
}

func TestTheDoctorFindsAnInstanceThatHangs(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET, func(t *testing.T) {
		p, addr := serving(t, "--addr", "127.0.0.1:8080")
		p.halt(t)
		all := examined(t, "--addr", addr)
		all.expect(t, addr+" rotation", "fault", fmt.Sprint(p.Process.Pid))
		all.expect(t, addr+" strangers", "ok", "")
		p.signal(t, syscall.SIGCONT)
	})
}

func TestTheDoctorReadsTheLimitsOfTheHost(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET, func(t *testing.T) {
		setSysctl(t, "net.core.somaxconn", "128")
		serving(t, "--addr", "127.0.0.1:8080")
		all := examined(t, "--addr", "127.0.0.1:8080")
		all.expect(t, "somaxconn", "warning", "128")
		all.expect(t, "127.0.0.1:8080 backlog", "ok", "")
		setSysctl(t, "net.core.somaxconn", "4096")
		setSysctl(t, "net.ipv4.ip_local_port_range", "8000 8999")
		setSysctl(t, "net.ipv4.tcp_migrate_req", "1")
		must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 512, Max: 512}))
		all = examined(t, "--addr", "127.0.0.1:8080")
		all.expect(t, "somaxconn", "ok", "4096")
		all.expect(t, "127.0.0.1:8080 backlog", "warning", "128 connections may wait")
		all.expect(t, "127.0.0.1:8080 localport", "warning", "no release can start")
		all.expect(t, "files", "warning", "512")
		if says := all["migrate"]["says"].(string); !strings.HasPrefix(says, "on") {
			t.Errorf("tcp_migrate_req is 1, and it says %q", says)
		}
		setSysctl(t, "net.ipv4.ip_local_reserved_ports", "8079-8081")
		examined(t, "--addr", "127.0.0.1:8080").expect(t, "127.0.0.1:8080 localport", "ok", "reserved")
	})
}

// showCPUs runs the doctor where a file of sysfs says that these CPUs are online, as it
// may in a container.
func showCPUs(t *testing.T, list, addr string) diagnosis {
	t.Helper()
	file := write(t, "online", list+"\n")
	show := func() error {
		if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
			return err
		}
		return syscall.Mount(file, "/sys/devices/system/cpu/online", "", syscall.MS_BIND, "")
	}
	return diagnosed(t, fenced(t, show, func(*exec.Cmd) {}, "doctor", "--json", "--addr", addr))
}

func TestTheDoctorFindsCPUsThatNobodyIsPinnedTo(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET|syscall.CLONE_NEWNS, func(t *testing.T) {
		_, addr := serving(t, "--addr", "127.0.0.1:8080", "--release", "v1")
		examined(t, "--addr", addr).expect(t, addr+" cover", "ok", "")
		more := showCPUs(t, "0-1023", addr)
		more.expect(t, addr+" cover", "fault", "sockets for 1024 CPUs")
		more.expect(t, "cpus", "ok", "")
		showCPUs(t, "1023", addr).expect(t, "cpus", "fault", "does not list")
	})
}

func TestTheDoctorSaysWhatItCannotSee(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET|syscall.CLONE_NEWNS, func(t *testing.T) {
		must(t, syscall.Mount("none", "/proc", "tmpfs", 0, ""))
		all := examined(t, "--addr", "127.0.0.1:8080")
		all.expect(t, "steering", "fault", "/proc")
		all.expect(t, "sandbox", "unknown", "/proc/self/status")
		all.expect(t, "endpoint", "unknown", "/proc/self/net/unix")
		all.expect(t, "somaxconn", "warning", "128")
		all.expect(t, "127.0.0.1:8080 strangers", "unknown", "/proc")
		all.expect(t, "127.0.0.1:8080 localport", "unknown", "/proc")
	})
}

// errno is what a filter returns for a call that it refuses: seccomp(2), SECCOMP_RET_ERRNO.
const errno = 0x00050000

// forbid refuses membarrier, and sockets of two families, to this thread and its children.
func forbid() error {
	const (
		load, equal, ret   = syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, syscall.BPF_RET
		noNewPrivs, filter = 38, 22 // PR_SET_NO_NEW_PRIVS and PR_SET_SECCOMP of prctl(2)
		allow              = 0x7fff0000
		call, firstArg     = 0, 16 // in struct seccomp_data
	)
	program := []syscall.SockFilter{
		{Code: load, K: call},
		{Code: equal, K: map[string]uint32{"amd64": 324, "arm64": 283}[runtime.GOARCH], Jt: 5},
		{Code: equal, K: syscall.SYS_SOCKET, Jf: 3},
		{Code: load, K: firstArg},
		{Code: equal, K: syscall.AF_NETLINK, Jt: 3},
		{Code: equal, K: syscall.AF_UNIX, Jt: 2},
		{Code: ret, K: allow},
		{Code: ret, K: errno | uint32(syscall.EPERM)},
		{Code: ret, K: errno | uint32(syscall.EAFNOSUPPORT)},
	}
	if _, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivs, 1, 0, 0, 0, 0); err != 0 {
		return err
	}
	fprog := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, filter, 2, uintptr(unsafe.Pointer(&fprog))); err != 0 {
		return err
	}
	return nil
}

func TestTheDoctorFindsWhatASandboxForbids(t *testing.T) {
	got := fenced(t, forbid, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "NOTIFY_SOCKET=/run/notify") },
		"doctor", "--json", "--addr", "127.0.0.1:0")
	all := diagnosed(t, got)
	all.expect(t, "sandbox", "ok", "filter is in force")
	all.expect(t, "barrier", "warning", "membarrier")
	all.expect(t, "netlink", "warning", "address family not supported")
	all.expect(t, "endpoint", "fault", "supervisor")
	if got.code != exitFailed {
		t.Errorf("exit code %d", got.code)
	}
}

func TestTheDoctorIsNotMisledByAnAffinity(t *testing.T) {
	onFirst := func() error {
		mask := uint64(1)
		if _, _, err := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, 8, uintptr(unsafe.Pointer(&mask))); err != 0 {
			return err
		}
		return nil
	}
	all := diagnosed(t, fenced(t, onFirst, func(*exec.Cmd) {}, "doctor", "--json", "--addr", "127.0.0.1:0"))
	all.expect(t, "cpus", "ok", "may run on 0,")
	all.expect(t, "steering", "ok", "")
}

func TestTheDoctorFindsThatAPortIsForThePrivileged(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNET, func(t *testing.T) {
		const drop, bindService = 24, 10 // PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE
		powerless := func() error {
			if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, drop, bindService, 0); err != 0 {
				return err
			}
			return nil
		}
		all := diagnosed(t, fenced(t, powerless, func(*exec.Cmd) {}, "doctor", "--json", "--addr", "127.0.0.1:80"))
		all.expect(t, "127.0.0.1:80 bind", "fault", "privileged")
		examined(t, "--addr", "127.0.0.1:80").expect(t, "127.0.0.1:80 bind", "ok", "")
	})
}

func TestTheDoctorFindsAServiceOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	_, addr := serving(t, "--addr", "127.0.0.1:0", "--release", "of-root")
	nobody := func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
	}
	got := fenced(t, func() error { return nil }, nobody, "doctor", "--json", "--addr", addr)
	all := diagnosed(t, got)
	all.expect(t, addr+" bind", "fault", "of user 0 (root) while this runs as user 65534")
	if remedy := all[addr+" bind"]["remedy"]; remedy != "Only processes of one user share a port: run both as the same" || got.code != exitFailed {
		t.Errorf("exit code %d, remedy %v", got.code, remedy)
	}
}

func TestTheExitCodeSaysWhetherAnUpgradeWillDo(t *testing.T) {
	is := func(r doctor.Result) []doctor.Finding { return []doctor.Finding{{Check: "a"}, {Check: "b", Result: r}} }
	for _, c := range []struct {
		result       doctor.Result
		well, strict bool
	}{{doctor.OK, true, true}, {doctor.Unknown, true, false}, {doctor.Warning, true, false}, {doctor.Fault, false, false}} {
		if sum(is(c.result), false) == nil != c.well || sum(is(c.result), true) == nil != c.strict {
			t.Errorf("%v: %v, strictly %v", c.result, sum(is(c.result), false), sum(is(c.result), true))
		}
	}
	missing := []string{"doctor", "--addr", "127.0.0.1:0", "--tls-cert", "none.pem", "--tls-key", "none.pem"}
	if got := call(nil, missing...); got.code != exitFailed || !strings.Contains(got.stdout, "FAULT  secrets    tls-cert") {
		t.Errorf("exit code %d: %s", got.code, got.stdout)
	}
	if got := call(nil, "doctor", "--spread", "1h"); got.code != exitConfig {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestFindingsAreMarkedAndFollowedByTheirRemedies(t *testing.T) {
	all := []doctor.Finding{
		{Check: "kernel", Says: "Linux"},
		{Check: "bind", Addr: ":1", Result: doctor.Fault, Says: "held", Remedy: "stop it"},
		{Check: "cover", Addr: ":1", Result: doctor.Unknown, Says: "hidden"},
		{Check: "bind", Addr: ":2", Result: doctor.Warning, Says: "odd", Remedy: "mend it"},
	}
	var plain, coloured strings.Builder
	must(t, printFindings(&plain, all, false, false))
	want := `ok     kernel     Linux
:1
FAULT  bind       held
                → stop it
?      cover      hidden
:2
warn   bind       odd
                → mend it
`
	if plain.String() != want {
		t.Errorf("printed\n%s", plain.String())
	}
	must(t, printFindings(&coloured, all, false, true))
	contains(t, coloured.String(), "\x1b[31mFAULT\x1b[0m  bind", "\x1b[32mok   \x1b[0m")
}

func TestTheDoctorLosesNoRequest(t *testing.T) {
	t.Parallel()
	p, addr := serving(t, "--addr", "127.0.0.1:0", "--release", "doctor-load")
	sent := underLoad(t, addr)
	if n := mine(t, p)["requests"]; n != float64(sent) {
		t.Errorf("sent %d, v1 answered %v", sent, n)
	}
}

// Beside one that is not pinned whoever listens gets its share of new connections.
func TestTheDoctorTakesNoConnection(t *testing.T) {
	t.Parallel()
	ln := neighbour(t, "127.0.0.1:0", false, true)
	var answered atomic.Int64
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered.Add(1) })}
	go srv.Serve(ln)
	defer srv.Close()
	if sent := underLoad(t, ln.Addr().String()); sent != answered.Load() {
		t.Errorf("sent %d, answered %d", sent, answered.Load())
	}
}

// underLoad calls the doctor while requests are sent, each on a connection of its own,
// and returns how many. All of them have been answered.
func underLoad(t *testing.T, addr string) int64 {
	t.Helper()
	var (
		sent, failed atomic.Int64
		stop         atomic.Bool
		clients      sync.WaitGroup
	)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				sent.Add(1)
				resp, err := client.Get("http://" + addr + "/")
				if err != nil {
					t.Log(err)
					failed.Add(1)
					continue
				}
				resp.Body.Close()
			}
		})
	}
	for range 20 {
		examined(t, "--addr", addr).expect(t, addr+" bind", "ok", "")
	}
	stop.Store(true)
	clients.Wait()
	if failed.Load() > 0 || sent.Load() < 100 {
		t.Errorf("of %d requests %d failed", sent.Load(), failed.Load())
	}
	return sent.Load()
}
