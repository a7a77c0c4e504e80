package listen

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red:
//   - a line of ours that is missing is overlooked: TheGroupIsSplit, ALineThatIsLeftOut
//   - the sockets of another address are members: TheGroupIsSplit
//   - pending is ref alone, or the accept queue alone: PendingIs
//   - the first page is the last, or one that is short is: ATableOfManyPagesIsReadToItsEnd

// Rows as a little-endian machine prints them.
const (
	row4 = "   0: 0100007F:1F90 00000000:0000 0A 00000000:0000000A 00:00000000 00000000  1000        0 4211 17 0000000000000000 100 0 0 10 0"
	row6 = "  12: 00000000000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0 100 0 0 10 0"
	mine = "   1: 0100007F:1F90 0200007F:8000 01 00000000:00000000 00:00000000 00000000  1000        0 4212 1 0000000000000000 20 4 30 10 -1"
)

func needLittleEndian(tb testing.TB) {
	tb.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		tb.Skip("the rows of this test are of a little-endian machine")
	}
}

func TestARowIsRead(t *testing.T) {
	needLittleEndian(t)
	for _, c := range []struct {
		row  string
		want line
	}{
		{row4, line{local: netip.MustParseAddrPort("127.0.0.1:8080"), listening: true, uid: "1000", inode: 4211, ref: 17, queued: 10}},
		{row6, line{local: netip.MustParseAddrPort("[::1]:443"), listening: true, uid: "0", inode: 99, ref: 1}},
		{mine, line{local: netip.MustParseAddrPort("127.0.0.1:8080"), uid: "1000", inode: 4212, ref: 1}},
	} {
		if got, err := parseLine(c.row); got != c.want || err != nil {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.row, got, err, c.want)
		}
	}
}

func TestAMalformedRowIsRefused(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"empty", row4, ""},
		{"short", " 17 0000000000000000 100 0 0 10 0", ""},
		{"address without a port", ":1F90", ""},
		{"address of three bytes", "0100007F", "01007F"},
		{"address of eight bytes", "0100007F", "0100007F0100007F"},
		{"address not in hex", "0100007F", "0100007G"},
		{"port too big", ":1F90", ":1F901"},
		{"inode", "4211", "x"},
		{"ref", " 17 ", " -x "},
		{"queue", ":0000000A", ":x"},
		{"no queue", ":0000000A", ""},
	} {
		row := strings.Replace(row4, c.old, c.new, 1)
		if row == row4 {
			t.Fatalf("%s: the row has no %q", c.name, c.old)
		}
		if ln, err := parseLine(row); err == nil {
			t.Errorf("%s: read as %+v", c.name, ln)
		}
	}
}

func FuzzARow(f *testing.F) {
	for _, row := range []string{row4, row6, mine, ""} {
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, row string) {
		ln, err := parseLine(row)
		if err == nil && !ln.local.IsValid() {
			t.Errorf("%q was read as %+v", row, ln)
		}
		if p := ln.pending(); p.HalfOpen < 0 {
			t.Errorf("%q: %+v", row, p)
		}
	})
}

func TestPendingIsWhatRefAndTheQueueCount(t *testing.T) {
	for _, c := range []struct {
		ref, queued int
		want        Pending
	}{
		{1, 0, Pending{}},
		{4, 0, Pending{HalfOpen: 3}},
		{4, 3, Pending{Queued: 3}},
		{6, 3, Pending{HalfOpen: 2, Queued: 3}},
		{1, 10, Pending{Queued: 10}}, // made from SYN cookies
	} {
		if got := (line{ref: c.ref, queued: c.queued}).pending(); got != c.want {
			t.Errorf("ref %d, %d queued: %+v, want %+v", c.ref, c.queued, got, c.want)
		}
	}
}

func tableOf(tb testing.TB, rows ...string) *table {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "tcp")
	if err := os.WriteFile(path, []byte(strings.Join(append([]string{"  sl  local_address"}, rows...), "\n")), 0o600); err != nil {
		tb.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return &table{file: f}
}

func TestOnlyTheListenersAreRead(t *testing.T) {
	tab := tableOf(t, row4, row4, mine, "what comes behind them is not looked at")
	for range 2 { // it starts at the beginning each time
		if lines, err := tab.listeners(); len(lines) != 2 || err != nil {
			t.Errorf("%d lines, %v", len(lines), err)
		}
	}
	if _, err := tableOf(t, row4, "malformed").listeners(); err == nil {
		t.Error("a malformed table was read")
	}
}

func TestTheGroupIsSplitByInode(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:8080")
	socks := []*socket{{inode: 1}, {inode: 2}}
	lines := []line{
		{local: at, uid: "7", inode: 1}, {local: at, uid: "7", inode: 2},
		{local: at, uid: "7", inode: 3},                                        // another member
		{local: at, uid: "8", inode: 4},                                        // another user's
		{local: netip.MustParseAddrPort("0.0.0.0:8080"), uid: "7", inode: 5},   // another address
		{local: netip.MustParseAddrPort("127.0.0.1:8081"), uid: "7", inode: 6}, // another port
	}
	mine, others, err := splitGroup(lines, socks)
	if err != nil || len(mine) != 2 || len(others) != 1 || others[0].inode != 3 {
		t.Errorf("mine %v, others %v, %v", mine, others, err)
	}
	// What is not shown may have something pending: nobody may call it settled.
	if _, _, err := splitGroup(lines[1:], socks); err != errNotShown {
		t.Errorf("with one of two shown: %v", err)
	}
	if _, _, err := splitGroup(nil, nil); err != errNotShown {
		t.Errorf("with nothing: %v", err)
	}
}

func TestALineThatIsLeftOutIsLookedForAgain(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	k := a.kernel.(*pinned)
	missing := &socket{inode: 1}
	a.mu.Lock()
	a.socks = append(a.socks, missing)
	a.mu.Unlock()
	if _, err := k.pending(); err != errNotShown {
		t.Errorf("one socket is not shown, and pending returns %v", err)
	}
	a.mu.Lock()
	a.socks = a.socks[:len(a.socks)-1]
	a.mu.Unlock()
	if p, err := k.pending(); p != (Pending{}) || err != nil {
		t.Errorf("all are shown: %+v, %v", p, err)
	}
}

func TestAListOfCPUsIsRead(t *testing.T) {
	for list, want := range map[string]string{
		"0": "[0]", "0-1": "[0 1]", "0-3,8,10-11": "[0 1 2 3 8 10 11]", "5,2": "[5 2]",
		"": "", "-": "", "1-": "", "-1": "", "3-1": "", "a": "", "0,,1": "", "0-1-2": "",
	} {
		cpus, err := parseCPUs(list)
		if want == "" {
			if err == nil {
				t.Errorf("%q was read as %v", list, cpus)
			}
		} else if got := fmt.Sprint(cpus); got != want || err != nil {
			t.Errorf("%q was read as %v, %v; want %s", list, got, err, want)
		}
	}
}

func TestOnCPURunsThere(t *testing.T) {
	cpus, err := allowedCPUs()
	if err != nil || len(cpus) == 0 {
		t.Fatal(cpus, err)
	}
	for _, cpu := range cpus {
		err := onCPU(cpu, func() error {
			var set unix.CPUSet
			if err := unix.SchedGetaffinity(0, &set); err != nil {
				return err
			}
			if set.Count() != 1 || !set.IsSet(cpu) {
				t.Errorf("on CPU %d the thread may run on %d CPUs", cpu, set.Count())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if after, err := allowedCPUs(); err != nil || len(after) != len(cpus) {
		t.Errorf("before %v, after %v, %v", cpus, after, err)
	}
	if err := onCPU(1023, func() error { return nil }); err == nil {
		t.Error("runs on a CPU that is not there")
	}
}

func TestATableOfManyPagesIsReadToItsEnd(t *testing.T) {
	for _, addr := range []string{loopback, "[::1]:0"} {
		open := make(map[uint16]bool)
		for range 200 {
			ln, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			open[ln.Addr().(*net.TCPAddr).AddrPort().Port()] = true
		}
		tab, err := openTable(addr != loopback)
		if err != nil {
			t.Fatal(err)
		}
		defer tab.close()
		lines, err := tab.listeners()
		if err != nil {
			t.Fatal(err)
		}
		for _, ln := range lines {
			delete(open, ln.local.Port())
		}
		if len(open) > 0 {
			t.Errorf("of %s it does not show %d", addr, len(open))
		}
	}
}
