package listen

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
)

// table is the kernel's list of TCP sockets of one address family, kept open so
// that it can be read when no descriptor is left.
type table struct {
	mu   sync.Mutex
	file *os.File
}

// line is one socket of the table.
type line struct {
	local     netip.AddrPort // its Is6 says which table the line is from
	listening bool
	uid       string
	inode     uint64
	// ref counts the socket itself and each handshake that was begun with it,
	// until it is accepted: sk_refcnt, printed by get_tcp4_sock. A connection made
	// from a SYN cookie holds no reference.
	ref int
	// queued is the length of the accept queue: sk_ack_backlog.
	queued int
}

func openTable(v6 bool) (*table, error) {
	name := "/proc/self/net/tcp"
	if v6 {
		name = "/proc/self/net/tcp6"
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return &table{file: f}, nil
}

func (t *table) close() error { return t.file.Close() }

// listeners returns the listening sockets. They come first in the table
// (TCP_SEQ_STATE_LISTENING), so that the read ends before the connections.
func (t *table) listeners() ([]line, error) {
	var lines []line
	err := t.each(func(ln line) (more bool) {
		if ln.listening {
			lines = append(lines, ln)
		}
		return ln.listening
	})
	return lines, err
}

func inodesOf(lines []line) []uint64 {
	inodes := make([]uint64, len(lines))
	for i, ln := range lines {
		inodes[i] = ln.inode
	}
	return inodes
}

// each calls f for each line until it wants no more.
func (t *table) each(f func(line) (more bool)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	rows := bufio.NewScanner(&pages{file: t.file})
	rows.Scan() // the header
	for rows.Scan() {
		ln, err := parseLine(rows.Text())
		if err != nil {
			return fmt.Errorf("read %s: %w", t.file.Name(), err)
		}
		if !f(ln) {
			break
		}
	}
	return rows.Err()
}

// pages reads the table up to the first page that has room for another row. There the kernel
// has looked for one and found none (seq_read_iter): to be told so once more would cost
// another walk through the hash table of all connections.
type pages struct {
	file *os.File
	last bool
}

// longestRow is more than twice as long as that of an IPv6 connection.
const longestRow = 512

func (p *pages) Read(b []byte) (n int, err error) {
	if p.last {
		return 0, io.EOF
	}
	n, err = p.file.Read(b)
	p.last = len(b)-n > longestRow
	return n, err
}

// The columns of a row, and the state that means LISTEN.
const (
	colLocal    = 1
	colState    = 3
	colQueues   = 4 // tx:rx
	colUID      = 7
	colInode    = 9
	colRef      = 10
	minColumns  = 11
	stateListen = "0A"
)

func parseLine(row string) (ln line, err error) {
	col := strings.Fields(row)
	if len(col) < minColumns {
		return line{}, fmt.Errorf("row %q is too short", row)
	}
	if ln.local, err = parseHexAddr(col[colLocal]); err != nil {
		return line{}, err
	}
	ln.listening = col[colState] == stateListen
	ln.uid = col[colUID]
	if ln.inode, err = strconv.ParseUint(col[colInode], 10, 64); err != nil {
		return line{}, err
	}
	if ln.ref, err = strconv.Atoi(col[colRef]); err != nil {
		return line{}, err
	}
	_, rx, _ := strings.Cut(col[colQueues], ":")
	queued, err := strconv.ParseInt(rx, 16, 64)
	ln.queued = int(queued)
	return ln, err
}

// parseHexAddr reads an address as the kernel prints it: 32-bit words in the
// byte order of the machine, then the port.
func parseHexAddr(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	p, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q is malformed", s)
	}
	for word := raw; len(word) > 0; word = word[4:] {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("address %q is malformed", s)
	}
	return netip.AddrPortFrom(ip, uint16(p)), nil
}

// pending is what the kernel holds for the socket of this line.
func (ln line) pending() Pending {
	return Pending{HalfOpen: max(0, ln.ref-1-ln.queued), Queued: ln.queued}
}
