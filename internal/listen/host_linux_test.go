package listen

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red:
//   - a sysctl that is not there is an error: AHostIsSeenAsItIs
//   - reserved ports are read as one: SysctlsAreRead
//   - the soft limit is read: SysctlsAreRead
//   - a hidden /proc/sys reads as off: WhatIsHiddenIsNotOff

func TestAHostIsSeenAsItIs(t *testing.T) {
	h := LookAtHost(t.Context())
	online, err := onlineCPUs()
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !h.Tier.Lossless:
		t.Errorf("it does not steer: %s", h.Tier.Why)
	case h.Kernel.Err != nil || !strings.Contains(h.Kernel.Value.Release, "."):
		t.Errorf("the kernel is %+v", h.Kernel)
	case h.Barrier != nil || h.Diag != nil:
		t.Errorf("membarrier: %v; sock_diag: %v", h.Barrier, h.Diag)
	case !slices.Equal(h.Online.Value, online) || len(h.Allowed.Value) == 0:
		t.Errorf("CPUs online %+v, allowed %+v", h.Online, h.Allowed)
	case h.Somaxconn.Value == 0 || h.LocalPorts.Value.First == 0 || h.Files.Value == 0:
		t.Errorf("it is %+v", h)
	}
	for _, err := range []error{h.Seccomp.Err, h.Migrate.Err, h.MPTCP.Err, h.Reserved.Err, h.Files.Err} {
		if err != nil {
			t.Error(err)
		}
	}
	if on, err := switchAt("net/ipv4/not_of_this_kernel"); on || err != nil {
		t.Errorf("a sysctl that there is not: %v, %v", on, err)
	}
}

func TestSysctlsAreRead(t *testing.T) {
	inOwnNetwork(t, func(t *testing.T) {
		setSysctl(t, "net.ipv4.tcp_migrate_req", "1")
		setSysctl(t, "net.ipv4.ip_local_port_range", "20000 20999")
		setSysctl(t, "net.ipv4.ip_local_reserved_ports", "20080,20100-20110")
		setSysctl(t, "net.core.somaxconn", "64")
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 100, Max: 200}); err != nil {
			t.Fatal(err)
		}
		h := LookAtHost(t.Context())
		if !h.Migrate.Value || h.Somaxconn.Value != 64 || h.LocalPorts.Value != (Range{20000, 20999}) || h.Files.Value != 200 {
			t.Errorf("read %+v", h)
		}
		if want := []Range{{20080, 20080}, {20100, 20110}}; !slices.Equal(h.Reserved.Value, want) {
			t.Errorf("reserved are %+v", h.Reserved)
		}
	})
}

// As in a sandbox without /proc, or with ProcSubset=pid.
func TestWhatIsHiddenIsNotOff(t *testing.T) {
	inOwn(t, syscall.CLONE_NEWNS, func(t *testing.T) {
		if err := syscall.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		h := LookAtHost(t.Context())
		for _, err := range []error{h.Seccomp.Err, h.Migrate.Err, h.MPTCP.Err, h.Somaxconn.Err, h.LocalPorts.Err, h.Reserved.Err} {
			if !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it has seen what is hidden: %v", err)
			}
		}
		if h.Tier.Lossless {
			t.Error("it takes itself for lossless")
		}
	})
}
