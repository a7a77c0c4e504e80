package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	deviceName = "wire"
	// queueLength is how many packets the kernel keeps for us. It is long, because what
	// overruns it was not lost by our dice.
	queueLength = 10_000
)

// openDevice makes a TUN device in the thread's namespace. It is gone when it is closed.
func openDevice(addr netip.Prefix) (*os.File, error) {
	fd, err := openTUN()
	if err != nil {
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	device := os.NewFile(uintptr(fd), deviceName)
	err = errors.Join(lengthenQueue(deviceName), assign(deviceName, addr), bringUp(deviceName))
	if err != nil {
		device.Close()
		return nil, err
	}
	return device, nil
}

// openTUN returns the descriptor of a device that is ready to be polled.
func openTUN() (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return 0, fmt.Errorf("open /dev/net/tun: %w (modprobe tun; in a container: --device /dev/net/tun)", err)
	}
	if err != nil {
		return 0, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	r, err := unix.NewIfreq(deviceName)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// lengthenQueue does it where it may: root of a user namespace may not, and has to do
// with 500. What overruns the queue is counted in any case.
func lengthenQueue(device string) error {
	err := configure(device, unix.SIOCSIFTXQLEN, func(r *unix.Ifreq) error {
		r.SetUint32(queueLength)
		return nil
	})
	if err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("lengthen the queue of %s: %w", device, err)
	}
	return nil
}

// assign gives a device an address and the network around it.
func assign(device string, addr netip.Prefix) error {
	set := func(request uint, a netip.Addr) error {
		return configure(device, request, func(r *unix.Ifreq) error { return r.SetInet4Addr(a.AsSlice()) })
	}
	ones := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	mask := netip.PrefixFrom(ones, addr.Bits()).Masked().Addr()
	err := set(unix.SIOCSIFADDR, addr.Addr())
	if err == nil {
		err = set(unix.SIOCSIFNETMASK, mask)
	}
	if err != nil {
		return fmt.Errorf("give %s the address %v: %w", device, addr, err)
	}
	return nil
}

func bringUp(device string) error {
	err := configure(device, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP)
		return nil
	})
	if err != nil {
		return fmt.Errorf("bring up %s: %w", device, err)
	}
	return nil
}

// configure makes a request of netdevice(7), in the thread's namespace.
func configure(device string, request uint, fill func(*unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	if err := fill(r); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, request, r)
}

// overrun returns how many packets the kernel threw away on their way to us.
func overrun(device string) (int, error) {
	stats, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(stats) {
		name, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		const dropped = 8 + 3 // eight fields of what came in; then bytes, packets, errors
		if fields := bytes.Fields(rest); string(name) == device && len(fields) > dropped {
			return strconv.Atoi(string(fields[dropped]))
		}
	}
	return 0, fmt.Errorf("find %s in /proc/net/dev: it is not there", device)
}
