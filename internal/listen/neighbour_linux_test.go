package listen

import (
	"net/netip"
	"slices"
	"testing"
)

func TestWhatOverlaps(t *testing.T) {
	tu := func(at string, v6only bool) tuple { return tuple{local: netip.MustParseAddrPort(at), v6only: v6only} }
	for _, c := range []struct {
		a, b tuple
		want bool
	}{
		{tu("0.0.0.0:1", false), tu("0.0.0.0:1", false), true},
		{tu("0.0.0.0:1", false), tu("127.0.0.1:1", false), true},
		{tu("127.0.0.1:1", false), tu("127.0.0.2:1", false), false},
		{tu("[::]:1", false), tu("0.0.0.0:1", false), true},
		{tu("[::]:1", false), tu("127.0.0.1:1", false), true},
		{tu("[::]:1", false), tu("[::1]:1", false), true},
		{tu("[::]:1", false), tu("[::]:1", true), true},
		{tu("[::]:1", true), tu("0.0.0.0:1", false), false},
		{tu("[::]:1", true), tu("127.0.0.1:1", false), false},
		{tu("[::]:1", true), tu("[::1]:1", false), true},
		{tu("[::1]:1", false), tu("[::2]:1", false), false},
		{tu("[::1]:1", false), tu("0.0.0.0:1", false), false},
		{tu("[::ffff:127.0.0.1]:1", false), tu("127.0.0.1:1", false), true},
		{tu("[::ffff:127.0.0.1]:1", false), tu("0.0.0.0:1", false), true},
		{tu("[::ffff:127.0.0.1]:1", false), tu("[::]:1", true), false},
		{tu("[::ffff:127.0.0.1]:1", false), tu("[::]:1", false), true},
	} {
		if got := c.a.overlaps(c.b); got != c.want {
			t.Errorf("%v overlaps %v: %v", c.a, c.b, got)
		}
		if got := c.b.overlaps(c.a); got != c.want {
			t.Errorf("%v overlaps %v: %v", c.b, c.a, got)
		}
	}
}

func TestTheLikeliestHolderIsNamed(t *testing.T) {
	gone, client, server := neighbour{}, neighbour{inode: 1}, neighbour{listening: true, inode: 2}
	for _, held := range [][]neighbour{{gone, client, server}, {server, client, gone}, {client, server, gone}} {
		if got := slices.MinFunc(held, likelier); got != server {
			t.Errorf("of %+v it names %+v", held, got)
		}
	}
	if got := slices.MinFunc([]neighbour{gone, client, gone}, likelier); got != client {
		t.Errorf("it names %+v", got)
	}
}

// Where sock_diag may not be asked, a socket at our address is taken for one like
// ours, and another wildcard for one that takes both families.
func TestWithoutSockDiagASocketAtOurAddressIsTakenForOneLikeOurs(t *testing.T) {
	wild := netip.MustParseAddrPort("[::]:80")
	for _, c := range []struct {
		name  string
		known details
		ln    line
		mine  tuple
		want  detail
	}{
		{"v6only like ours", nil, line{local: wild}, tuple{local: wild, v6only: true}, detail{v6only: true}},
		{"dual like ours", nil, line{local: wild}, tuple{local: wild}, detail{}},
		{"the worst case", nil, line{local: wild}, tuple{local: netip.MustParseAddrPort("0.0.0.0:80")}, detail{}},
		{"known", details{7: {v6only: true, device: 3}}, line{local: wild, inode: 7}, tuple{local: wild}, detail{v6only: true, device: 3}},
	} {
		v6only, device := c.known.of(c.ln, c.mine)
		if got := (detail{v6only: v6only, device: device}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestSockDiagTellsWhatProcDoesNotShow(t *testing.T) {
	needFamilies(t, []string{"::1"})
	only := listening(t, "A", "tcp6", "[::]:0")
	dual := listening(t, "B", "tcp", ":0")
	for _, c := range []struct {
		m      *member
		v6only bool
	}{{only, true}, {dual, false}} {
		port := netip.MustParseAddrPort(c.m.Addr().String()).Port()
		found := bindDetails(true, port)
		for _, s := range c.m.sockets() {
			if d, ok := found[s.inode]; !ok || d.v6only != c.v6only || d.device != 0 {
				t.Errorf("%s: %+v, %v", c.m.name, d, ok)
			}
		}
	}
}

func TestAMalformedDiagMessageIsRefused(t *testing.T) {
	if _, _, ok := parseDiag(make([]byte, diagMessageLen-1)); ok {
		t.Error("read a message that is too short")
	}
	if _, _, ok := parseDiag(append(make([]byte, diagMessageLen), 1, 2, 3)); ok {
		t.Error("read an attribute that is cut off")
	}
}
