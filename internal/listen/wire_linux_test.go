package listen

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire is a client that sends each packet of its handshakes by hand, and so can
// hold back the last one or never send it. It needs a network of its own.
type wire struct {
	tb       testing.TB
	raw      int // what goes out
	packets  int // what arrives on lo, from whomever
	from, to netip.AddrPort
}

// handshake is one connection of the wire, as far as it has come.
type handshake struct {
	port      uint16
	seq, peer uint32 // our next sequence number, and the peer's
}

// segment is what the tests want to know of a TCP segment.
type segment struct {
	from, to uint16
	seq, ack uint32
	flags    byte
	payload  []byte
}

const (
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagPSH = 1 << 3
	flagACK = 1 << 4

	ipLen, tcpLen = 20, 20
	clientISN     = 1000
)

// newWire returns a client that speaks to the listener at to. It lives at another
// loopback address.
func newWire(tb testing.TB, to string) *wire {
	tb.Helper()
	w := &wire{tb: tb, to: netip.MustParseAddrPort(to), from: netip.MustParseAddrPort("127.0.0.2:0")}
	w.raw = w.socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	w.packets = w.socket(unix.AF_PACKET, unix.SOCK_DGRAM, int(bigEndian(unix.ETH_P_IP)))
	return w
}

// bigEndian is htons.
func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

func (w *wire) socket(family, typ, proto int) int {
	w.tb.Helper()
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		w.tb.Fatal(os.NewSyscallError("socket", err))
	}
	w.tb.Cleanup(func() { unix.Close(fd) })
	return fd
}

// deafen makes the kernel swallow what arrives for the client, which it would
// answer with a RST: a listener drops, without a word, packets whose TTL is below
// its minimum.
func (w *wire) deafen() (port uint16) {
	w.tb.Helper()
	fd := w.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, 255)
	if err == nil {
		err = unix.Bind(fd, sockaddr(w.from))
	}
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		w.tb.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		w.tb.Fatal(err)
	}
	return uint16(sa.(*unix.SockaddrInet4).Port)
}

// begin sends a SYN and waits for the SYN-ACK.
func (w *wire) begin() *handshake {
	w.tb.Helper()
	h := &handshake{port: w.deafen(), seq: clientISN}
	w.send(segment{from: h.port, seq: h.seq, flags: flagSYN})
	s := w.next(h, func(s segment) bool { return s.flags&flagSYN != 0 })
	if s.flags != flagSYN|flagACK || s.ack != h.seq+1 {
		w.tb.Fatalf("a SYN was answered with %+v", s)
	}
	h.seq, h.peer = s.ack, s.seq+1
	return h
}

// complete sends the last packet of the handshake, with the greeting in it.
func (w *wire) complete(h *handshake) {
	w.tb.Helper()
	w.send(segment{from: h.port, seq: h.seq, ack: h.peer, flags: flagACK | flagPSH, payload: []byte("?")})
}

// hear returns the name of who answers.
func (w *wire) hear(h *handshake) string {
	w.tb.Helper()
	s := w.next(h, func(s segment) bool { return s.flags&flagRST != 0 || len(s.payload) > 0 })
	if s.flags&flagRST != 0 {
		return lost
	}
	return string(s.payload)
}

// next waits for a segment that the listener sends to h.
func (w *wire) next(h *handshake, wanted func(segment) bool) segment {
	w.tb.Helper()
	deadline := time.Now().Add(5 * time.Second)
	buf := make([]byte, 1<<16)
	for {
		if err := await(w.packets, unix.POLLIN, deadline); err != nil {
			w.tb.Fatalf("the listener does not answer port %d: %v", h.port, err)
		}
		n, err := unix.Read(w.packets, buf)
		if err != nil {
			w.tb.Fatal(os.NewSyscallError("read", err))
		}
		if s, ok := parseSegment(buf[:n]); ok && s.from == w.to.Port() && s.to == h.port && wanted(s) {
			return s
		}
	}
}

func parseSegment(packet []byte) (s segment, ok bool) {
	if len(packet) < ipLen || packet[0]>>4 != 4 || packet[9] != unix.IPPROTO_TCP {
		return s, false
	}
	tcp := packet[int(packet[0]&0xf)*4:]
	if len(tcp) < tcpLen {
		return s, false
	}
	s = segment{
		from: binary.BigEndian.Uint16(tcp), to: binary.BigEndian.Uint16(tcp[2:]),
		seq: binary.BigEndian.Uint32(tcp[4:]), ack: binary.BigEndian.Uint32(tcp[8:]),
		flags: tcp[13], payload: tcp[int(tcp[12]>>4)*4:],
	}
	return s, true
}

func (w *wire) send(s segment) {
	w.tb.Helper()
	if err := unix.Sendto(w.raw, w.packet(s), 0, sockaddr(netip.AddrPortFrom(w.to.Addr(), 0))); err != nil {
		w.tb.Fatal(os.NewSyscallError("sendto", err))
	}
}

func (w *wire) packet(s segment) []byte {
	src, dst := w.from.Addr().AsSlice(), w.to.Addr().AsSlice()
	p := make([]byte, ipLen+tcpLen+len(s.payload))
	p[0] = 4<<4 | ipLen/4
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[8], p[9] = 64, unix.IPPROTO_TCP
	copy(p[12:], src)
	copy(p[16:], dst) // the kernel fills in the checksum of this header

	tcp := p[ipLen:]
	binary.BigEndian.PutUint16(tcp, s.from)
	binary.BigEndian.PutUint16(tcp[2:], w.to.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.seq)
	binary.BigEndian.PutUint32(tcp[8:], s.ack)
	tcp[12] = tcpLen / 4 << 4
	tcp[13] = s.flags
	binary.BigEndian.PutUint16(tcp[14:], 1<<15) // window
	copy(tcp[tcpLen:], s.payload)

	pseudo := append(append([]byte{}, src...), dst...)
	pseudo = append(pseudo, 0, unix.IPPROTO_TCP)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(tcp)))
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	return p
}

// checksum is the one of RFC 1071.
func checksum(b []byte) uint16 {
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	var sum uint32
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
