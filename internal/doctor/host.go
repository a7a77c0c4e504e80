package doctor

import (
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// hostChecks are about the machine, and the sandbox around this process.
var hostChecks = []struct {
	Check
	judge func(*sight) opinion
}{
	{Check{"kernel", "Linux 6.2 or later, or a stable 6.1"}, (*sight).kernel},
	{Check{"steering", "a retiring instance can move new connections to others, tried on a port of our own"}, (*sight).steering},
	{Check{"sandbox", "no seccomp filter or gVisor that is in the way"}, (*sight).sandbox},
	{Check{"barrier", "membarrier(2) is allowed: it ends the wait behind steering"}, (*sight).barrier},
	{Check{"netlink", "sock_diag can be asked: it knows of sockets what /proc does not"}, (*sight).netlink},
	{Check{"endpoint", "an instance can open its control endpoint, and others can be found"}, (*sight).endpoints},
	{Check{"migrate", "net.ipv4.tcp_migrate_req, and the kernel bug that comes with it"}, (*sight).migrate},
	{Check{"cpus", "there will be a socket for each CPU on which packets arrive"}, (*sight).cpus},
	{Check{"files", "the limit of open files, beside what the running instances hold"}, (*sight).files},
	{Check{"somaxconn", "how many connections may wait to be accepted"}, (*sight).somaxconn},
	{Check{"secrets", "certificate, private key and ticket keys, where they are named, can be used"}, (*sight).secrets},
}

// tryEndpoint opens and closes a name that nobody looks for.
func tryEndpoint() error {
	ln, err := net.Listen("unix", "@overlap-doctor/"+rand.Text())
	if err != nil {
		return err
	}
	return ln.Close()
}

func (s *sight) kernel() opinion {
	k := s.host.Kernel
	if k.Err != nil {
		return unknown(k.Err)
	}
	if v, known := versionOf(k.Value); known && v.less(6, 1, 0) && !s.host.Tier.Lossless {
		return fault("update to Linux 6.2 or later, or to a stable 6.1", "Linux %s is too old to steer", k.Value.Release)
	}
	return ok("Linux %s", k.Value.Release)
}

func (s *sight) steering() opinion {
	if t := s.host.Tier; !t.Lossless {
		return fault("see the checks around this one: an old kernel, a /proc that is hidden, or a sandbox; until then each upgrade loses what arrives while it closes",
			"no retirement will be lossless: %s", t.Why)
	}
	return ok("new connections go where they should, and what is pending can be seen")
}

func (s *sight) sandbox() opinion {
	mode := s.host.Seccomp
	switch {
	case isGVisor(s.host.Kernel.Value):
		return fault("run it on the host's kernel: runtime runc instead of runsc", "this is gVisor, whose sockets are not steered")
	case mode.Err != nil:
		return unknown(mode.Err)
	case mode.Value != 0:
		return ok("a seccomp filter is in force: what it forbids of what we need, the other checks say")
	}
	return ok("no seccomp filter")
}

func (s *sight) barrier() opinion {
	if err := s.host.Barrier; err != nil {
		return warning("allow membarrier (SystemCallFilter=@system-service does); with nohz_full= it stays refused",
			"%v: a retirement waits for 200 ms instead, which is nearly always enough", err)
	}
	return ok("the kernel says when no packet is on its way to us any more")
}

func (s *sight) netlink() opinion {
	if err := s.host.Diag; err != nil {
		return warning("allow AF_NETLINK (RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK)",
			"%v: IPv6-only sockets, those on an interface, MPTCP and queues cannot be told apart", err)
	}
	return ok("sock_diag answers")
}

func (s *sight) endpoints() opinion {
	const remedy = "allow AF_UNIX (RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK)"
	switch {
	case s.endpoint != nil && s.NotifySocket != "":
		return fault(remedy, "%v: it cannot tell its supervisor that it is ready, so that the start fails", s.endpoint)
	case s.endpoint != nil:
		return warning(remedy, "%v: status, upgrade, retire and probe will not find it", s.endpoint)
	case s.blind != nil:
		return unknown(s.blind)
	}
	return ok("instances that are found: %d", len(s.instances))
}

func (s *sight) migrate() opinion {
	m, k := s.host.Migrate, s.host.Kernel.Value
	v, known := versionOf(k)
	bug := known && v.forgetsToWake()
	switch {
	case m.Err != nil:
		return unknown(m.Err)
	case m.Value && bug:
		return warning("sysctl -w net.ipv4.tcp_migrate_req=0, or update the kernel: "+mendedIn(),
			"on, with a kernel that does not wake who inherits a connection (CVE-2026-46015, unless your distribution has mended it): it waits until the next one comes")
	case m.Value:
		return ok("on: what an instance has queued that is killed goes to another")
	case bug:
		return ok("off, and better so: this kernel does not wake who inherits a connection (CVE-2026-46015)")
	}
	return ok("off: what an instance has queued that is killed is lost; 1 would save it")
}

func (s *sight) cpus() opinion {
	online, allowed := s.host.Online, s.host.Allowed
	switch {
	case online.Err != nil:
		return fault("let it read /sys/devices/system/cpu/online", "no instance can start: %v", online.Err)
	case allowed.Err != nil:
		return unknown(allowed.Err)
	}
	for _, cpu := range allowed.Value {
		if !slices.Contains(online.Value, cpu) {
			return fault("show the container the CPUs of the host in /sys/devices/system/cpu/online",
				"this process may run on CPU %d, which that file does not list: connections that arrive there are steered to nobody", cpu)
		}
	}
	if len(allowed.Value) < len(online.Value) {
		return ok("%s are online; this process may run on %s, which makes no difference: packets arrive on all", list(online.Value), list(allowed.Value))
	}
	return ok("%s are online", list(online.Value))
}

// list writes CPUs as the kernel does: "0-3,8".
func list(cpus []int) string {
	var texts []string
	for i := 0; i < len(cpus); i++ {
		first := cpus[i]
		for i+1 < len(cpus) && cpus[i+1] == cpus[i]+1 {
			i++
		}
		text := strconv.Itoa(first)
		if cpus[i] != first {
			text += "-" + strconv.Itoa(cpus[i])
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",")
}

// fewFiles is what ulimit says on a system where nobody has thought of servers.
const fewFiles = 1024

func (s *sight) files() opinion {
	const remedy = "raise the hard limit: LimitNOFILE=524288, or ulimit -Hn"
	limit, most := s.host.Files, 0
	for _, f := range s.instances {
		c := f.Connections
		most = max(most, c.Fresh+c.Active+c.Idle+c.Hijacked+c.Closing)
	}
	switch {
	case limit.Err != nil:
		return unknown(limit.Err)
	case limit.Value <= most:
		return fault(remedy, "%d, while a running instance has %d connections, which its successor will get", limit.Value, most)
	case limit.Value <= fewFiles || limit.Value < 2*most:
		return warning(remedy, "%d, which is not many; a running instance has up to %d connections", limit.Value, most)
	}
	return ok("%d", limit.Value)
}

// usualBacklog is the kernel's default since 5.4.
const usualBacklog = 4096

func (s *sight) somaxconn() opinion {
	n := s.host.Somaxconn
	switch {
	case n.Err != nil:
		return warning("ProcSubset=all, or whatever hides /proc/sys", "%v: Go then lets 128 connections wait instead of %d", n.Err, usualBacklog)
	case n.Value < usualBacklog:
		return warning(fmt.Sprintf("sysctl -w net.core.somaxconn=%d", usualBacklog), "%d: a burst beyond that has to come again after a second", n.Value)
	}
	return ok("%d", n.Value)
}

func (s *sight) secrets() opinion {
	if s.Secrets != nil {
		return fault("mend the file: no release can start before", "%v", s.Secrets)
	}
	return ok("nothing in the way")
}
