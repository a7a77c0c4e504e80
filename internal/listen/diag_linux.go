package listen

import (
	"encoding/binary"
	"errors"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// details are what /proc/net/tcp does not show of listeners, by inode.
type details map[uint64]detail

type detail struct {
	v6only  bool
	device  uint32
	backlog int // how many connections may be queued
	mptcp   bool
}

// of returns the details of a line. Where sock_diag could not be asked
// (RestrictAddressFamilies without AF_NETLINK), a socket of our family and
// address is taken for one like ours, and any other for the worst case.
func (d details) of(ln line, mine tuple) (v6only bool, device uint32) {
	if known, ok := d[ln.inode]; ok {
		return known.v6only, known.device
	}
	return mine.v6only && ln.local == mine.local, 0
}

var errNotTold = errors.New("sock_diag cannot be asked")

// more is what only sock_diag knows of a socket.
func (d details) more(inode uint64) (backlog Fact[int], mptcp Fact[bool]) {
	known, ok := d[inode]
	if !ok {
		return Fact[int]{Err: errNotTold}, Fact[bool]{Err: errNotTold}
	}
	return Fact[int]{Value: known.backlog}, Fact[bool]{Value: known.mptcp}
}

// The layout of linux/inet_diag.h: inet_diag_req_v2, inet_diag_msg and the
// inet_diag_sockid in both.
const (
	diagRequestLen = 56
	diagSourcePort = 8 // in the request, in network order
	diagMessageLen = 72
	diagInterface  = 40 // in the message
	diagWriteQueue = 60 // of a listener, the bound of its accept queue (tcp_diag_get_info)
	diagInode      = 68
	diagSKV6Only   = 11 // INET_DIAG_SKV6ONLY, an attribute of AF_INET6 listeners
	diagULP        = 19 // INET_DIAG_ULP_INFO, in which 1 (INET_ULP_INFO_NAME) is the name
	diagULPName    = 1
	diagInfo       = 2 // INET_DIAG_INFO: the upper layer protocol comes along with that

	tcpListen = 10 // TCP_LISTEN of net/tcp_states.h
)

// bindDetails asks sock_diag for the listeners of a port. The map is empty where
// it may not be asked.
func bindDetails(v6 bool, port uint16) details {
	msgs, err := dumpListeners(v6, port)
	if err != nil {
		return nil
	}
	found := make(details)
	for _, m := range msgs {
		if inode, d, ok := parseDiag(m.Data); ok {
			found[inode] = d
		}
	}
	return found
}

func dumpListeners(v6 bool, port uint16) ([]netlink.Message, error) {
	c, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.SOCK_DIAG_BY_FAMILY, Flags: netlink.Request | netlink.Dump},
		Data:   diagRequest(v6, port),
	})
}

func diagRequest(v6 bool, port uint16) []byte {
	req := make([]byte, diagRequestLen)
	req[0] = unix.AF_INET
	if v6 {
		req[0] = unix.AF_INET6
	}
	req[1] = unix.IPPROTO_TCP
	req[2] = 1 << (diagInfo - 1)
	binary.NativeEndian.PutUint32(req[4:], 1<<tcpListen)
	binary.BigEndian.PutUint16(req[diagSourcePort:], port)
	return req
}

func parseDiag(msg []byte) (inode uint64, d detail, ok bool) {
	if len(msg) < diagMessageLen {
		return 0, d, false
	}
	inode = uint64(binary.NativeEndian.Uint32(msg[diagInode:]))
	d.device = binary.NativeEndian.Uint32(msg[diagInterface:])
	d.backlog = int(binary.NativeEndian.Uint32(msg[diagWriteQueue:]))
	attrs, err := netlink.NewAttributeDecoder(msg[diagMessageLen:])
	if err != nil {
		return 0, d, false
	}
	for attrs.Next() {
		switch attrs.Type() {
		case diagSKV6Only:
			d.v6only = attrs.Uint8() != 0
		case diagULP:
			attrs.Nested(func(ulp *netlink.AttributeDecoder) error {
				d.mptcp = isMPTCP(ulp)
				return nil
			})
		}
	}
	return inode, d, attrs.Err() == nil
}

// isMPTCP says whether a socket is one of MPTCP's, which the kernel names by its upper
// layer protocol (mptcp_subflow_init).
func isMPTCP(ulp *netlink.AttributeDecoder) (is bool) {
	for ulp.Next() {
		is = is || ulp.Type() == diagULPName && ulp.String() == "mptcp"
	}
	return is
}
