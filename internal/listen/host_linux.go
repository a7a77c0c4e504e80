package listen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LookAtHost looks. It takes a few milliseconds.
func LookAtHost(ctx context.Context) Host {
	return Host{
		Tier:       selfTest(ctx),
		Kernel:     fact(uname()),
		Seccomp:    fact(seccompMode()),
		Barrier:    tryBarrier(),
		Diag:       tryDiag(),
		Migrate:    fact(switchAt("net/ipv4/tcp_migrate_req")),
		MPTCP:      fact(switchAt("net/mptcp/enabled")),
		Somaxconn:  fact(numberAt("net/core/somaxconn")),
		LocalPorts: fact(localPorts()),
		Reserved:   fact(reservedPorts()),
		Files:      fact(files()),
		Online:     fact(onlineCPUs()),
		Allowed:    fact(allowedCPUs()),
	}
}

func uname() (Kernel, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Kernel{}, os.NewSyscallError("uname", err)
	}
	signature, _ := os.ReadFile("/proc/version_signature") // only Ubuntu has it
	return Kernel{
		Release:   unix.ByteSliceToString(u.Release[:]),
		Build:     unix.ByteSliceToString(u.Version[:]),
		Signature: strings.TrimSpace(string(signature)),
	}, nil
}

// seccompMode reads the line "Seccomp:" of proc(5), /proc/pid/status.
func seccompMode() (int, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if mode, found := strings.CutPrefix(line, "Seccomp:"); found {
			return strconv.Atoi(strings.TrimSpace(mode))
		}
	}
	return 0, errors.New("/proc/self/status does not say")
}

// tryBarrier asks for the grace period that waitForGracePeriod waits for.
func tryBarrier() error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return os.NewSyscallError("membarrier", errno)
	}
	return nil
}

func tryDiag() error {
	_, err := dumpListeners(false, 0)
	return err
}

func sysctl(name string) (string, error) {
	text, err := os.ReadFile("/proc/sys/" + name)
	return strings.TrimSpace(string(text)), err
}

func numberAt(name string) (int, error) {
	text, err := sysctl(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// switchAt reads one that is on or off; what this kernel does not have is off.
func switchAt(name string) (bool, error) {
	n, err := numberAt(name)
	if _, hidden := os.Stat("/proc/sys/net"); errors.Is(err, os.ErrNotExist) && hidden == nil {
		return false, nil
	}
	return n != 0, err
}

func localPorts() (r Range, err error) {
	text, err := sysctl("net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(text, &r.First, &r.Last)
	}
	return r, err
}

// reservedPorts reads a list as the kernel writes it: "8080,9000-9010".
func reservedPorts() (all []Range, err error) {
	text, err := sysctl("net/ipv4/ip_local_reserved_ports")
	if err != nil || text == "" {
		return nil, err
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		all = append(all, Range{from, to})
	}
	return all, nil
}

// files is the hard limit: Go raises its own to that when it starts.
func files() (int, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, os.NewSyscallError("getrlimit", err)
	}
	return int(min(l.Max, 1<<31-1)), nil
}
