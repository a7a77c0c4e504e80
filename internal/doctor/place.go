package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// placeChecks are about one address, and who listens there now.
var placeChecks = []struct {
	Check
	judge func(*sight, listen.Place) opinion
}{
	{Check{"bind", "the next release can bind: same user, SO_REUSEPORT on all sockets, privilege for the port"}, (*sight).bind},
	{Check{"address", "it is exactly the address of who listens: same family, same interface"}, (*sight).address},
	{Check{"strangers", "nobody shares the port who is no instance of overlap"}, (*sight).strangers},
	{Check{"rotation", "the running instances answer, are in rotation, and can leave"}, (*sight).rotation},
	{Check{"cover", "each of them has a socket for each CPU"}, (*sight).cover},
	{Check{"mptcp", "none listens with MPTCP, as Go does by itself: such sockets are not steered"}, (*sight).mptcp},
	{Check{"localport", "the port is not one that the kernel gives to outgoing connections"}, (*sight).localPort},
	{Check{"backlog", "the accept queues of who listens are long enough, and not full"}, (*sight).backlog},
}

func (s *sight) bind(p listen.Place) opinion {
	switch err := p.Bind; {
	case err == nil && p.Port == 0:
		return ok("a port that the kernel chooses: there is nothing to share")
	case err == nil:
		return ok("the next release can listen here, as this user")
	case errors.Is(err, syscall.EACCES):
		return fault("AmbientCapabilities=CAP_NET_BIND_SERVICE, or sysctl -w net.ipv4.ip_unprivileged_port_start=0, or a port from 1024 on",
			"%v: this port is for the privileged", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fault("give it to an interface, or sysctl -w net.ipv4.ip_nonlocal_bind=1", "%v: no interface has this address", err)
	default:
		return told(Fault, err, `see "ss -tanp" for what holds the port`)
	}
}

func (s *sight) address(p listen.Place) opinion {
	switch {
	case p.Mismatch != nil && s.AllowMismatch:
		return told(Warning, p.Mismatch, "")
	case p.Mismatch != nil:
		return told(Fault, p.Mismatch, "")
	case len(p.Members) == 0:
		return ok("nobody listens here yet")
	}
	return ok("the same as that of who listens here")
}

// strangers: sockets of our user that no endpoint stands for. A process that cannot be
// seen, and that no endpoint names, is taken for an instance in another container, if there
// is one that says nothing.
func (s *sight) strangers(p listen.Place) opinion {
	if s.blind != nil {
		return unknown(s.blind)
	}
	if errors.Is(p.Bind, syscall.EADDRINUSE) {
		return ok("nobody shares it: see bind")
	}
	var strange []string
	unseen := false
	for _, m := range p.Members {
		switch {
		case !m.Ours || s.instanceOf(m) != nil:
		case m.PID == 0:
			unseen = unseen || !s.anotherOn(p)
		default:
			strange = append(strange, fmt.Sprintf("pid %d (%s)", m.PID, m.Program))
		}
	}
	switch {
	case len(strange) > 0 && s.AllowStrangers:
		return warning("stop it, if it is not meant to share", "%s listens here, and is no instance of overlap", strings.Join(unique(strange), ", "))
	case len(strange) > 0:
		return fault("stop it, or serve with --allow-strangers if it is meant to share",
			"%s listens here, and is no instance of overlap: it takes its share, and what it has is lost when it leaves", strings.Join(unique(strange), ", "))
	case unseen:
		return warning("look from its container, or as root", "somebody listens here whose process cannot be seen, and who has no endpoint")
	}
	return ok("none")
}

func unique(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}

// instanceOf returns the instance that a socket belongs to, or nil. The number of a process
// says something only of those that we can see: each container has its own.
func (s *sight) instanceOf(m listen.Member) *control.Found {
	for i, f := range s.instances {
		if slices.Contains(f.Sockets, m.Socket) || f.Here && f.PID == m.PID {
			return &s.instances[i]
		}
	}
	return nil
}

// anotherOn says whether an instance listens at a place whose process cannot be seen.
func (s *sight) anotherOn(p listen.Place) bool {
	return slices.ContainsFunc(s.instances, func(f control.Found) bool {
		return !f.Here && isOn(f, p)
	})
}

func isOn(f control.Found, p listen.Place) bool {
	return slices.ContainsFunc(f.Ports, func(port control.Port) bool { return port.Addr == p.Addr })
}

// sibling is an instance at a place, with how many sockets it has there.
type sibling struct {
	control.Found
	sockets int
}

// siblings are in the order in which they were started.
func (s *sight) siblings(p listen.Place) (all []sibling) {
	for i, f := range s.instances {
		b := sibling{Found: f}
		for _, m := range p.Members {
			if m.Ours && m.Shares && s.instanceOf(m) == &s.instances[i] {
				b.sockets++
			}
		}
		if b.sockets > 0 || isOn(f, p) {
			all = append(all, b)
		}
	}
	return all
}

func (s *sight) rotation(p listen.Place) opinion {
	all := s.siblings(p)
	worst := ok("instances: %d", len(all))
	for _, b := range all {
		if o := rotationOf(b.Found, p); o.result > worst.result {
			worst = o
		}
	}
	return worst
}

func rotationOf(f control.Found, p listen.Place) opinion {
	pinned := slices.ContainsFunc(f.Ports, func(port control.Port) bool { return port.Addr == p.Addr && port.Pinned })
	switch {
	case f.Err != nil:
		return fault(fmt.Sprintf("kill -CONT %d if it is stopped, or end it", f.PID),
			"%v: what it is given is not answered", f.Err)
	case f.Tier != "lossless":
		return fault("start it again when the checks above are well: the retirement of this one will lose what arrives while it closes",
			"%s (pid %d) found that %s when it started", f.Release, f.PID, f.Why)
	case f.State != "serving":
		return warning("wait until it is ready, or gone", "%s (pid %d) is %s", f.Release, f.PID, f.State)
	case isOn(f, p) && !pinned: // of an address beside, as that for scrapes, it says nothing
		return warning(`"server pin" it, or retire it`, "%s (pid %d) is not in rotation: it gets nothing as long as another one does", f.Release, f.PID)
	}
	return opinion{}
}

func (s *sight) cover(p listen.Place) opinion {
	if s.host.Online.Err != nil {
		return unknown(s.host.Online.Err)
	}
	online := len(s.host.Online.Value)
	for _, b := range s.siblings(p) {
		if b.Err == nil && b.Tier == "lossless" && b.sockets > 0 && b.sockets < online {
			return fault("wait two seconds if a CPU has just come online, else start it again",
				"%s (pid %d) has %d sockets for %d CPUs: what arrives on the others goes to anybody, who retires included", b.Release, b.PID, b.sockets, online)
		}
	}
	return ok("all")
}

func (s *sight) mptcp(p listen.Place) opinion {
	var err error
	for _, m := range p.Members {
		if m.MPTCP.Value {
			return warning("ListenConfig.SetMultipathTCP(false), or GODEBUG=multipathtcp=0", "pid %d (%s) listens with MPTCP", m.PID, m.Program)
		}
		err = errors.Join(err, m.MPTCP.Err)
	}
	if on := s.host.MPTCP; err != nil && (on.Value || on.Err != nil) {
		return unknown(errors.New("sock_diag cannot be asked"))
	}
	return ok("none")
}

func (s *sight) localPort(p listen.Place) opinion {
	ports, reserved := s.host.LocalPorts, s.host.Reserved
	switch {
	case ports.Err != nil:
		return unknown(ports.Err)
	case p.Port == 0 || !ports.Value.Has(p.Port):
		return ok("outside net.ipv4.ip_local_port_range")
	case reserved.Err != nil:
		return unknown(reserved.Err)
	case slices.ContainsFunc(reserved.Value, func(r listen.Range) bool { return r.Has(p.Port) }):
		return ok("inside net.ipv4.ip_local_port_range, and reserved")
	}
	return warning(fmt.Sprintf("add %d to net.ipv4.ip_local_reserved_ports, or choose a port below %d", p.Port, ports.Value.First),
		"%d is inside net.ipv4.ip_local_port_range: while nobody listens, a connection to elsewhere may take it, and no release can start", p.Port)
}

func (s *sight) backlog(p listen.Place) opinion {
	for _, m := range p.Members {
		switch room := m.Backlog; {
		case room.Err != nil:
			return unknown(room.Err)
		case room.Value > 0 && m.Queued >= room.Value:
			return warning("see why it does not accept: too busy, stopped, or out of descriptors", "the queue of pid %d (%s) is full: %d connections wait", m.PID, m.Program, m.Queued)
		case s.host.Somaxconn.Err == nil && room.Value < s.host.Somaxconn.Value:
			return warning("start it again where it can read net.core.somaxconn", "of pid %d (%s) %d connections may wait, though net.core.somaxconn is %d",
				m.PID, m.Program, room.Value, s.host.Somaxconn.Value)
		}
	}
	return ok("long enough")
}
