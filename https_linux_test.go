package overlap

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"testing"
)

// HTTP/1 in TLS.
//
// Broken on purpose, and seen red:
//
//   - Linger returns at once; the ports close without steering: TestClientsOfTLSLoseNothing
//   - the user's config is used: TestTheConfigOfTLSStaysTheUsers
//   - the listener has a clone of the clone: TestSessionTicketKeysThatAreSetOnceItServesAreUsed
//   - nothing is withdrawn: TestHTTP2ThatIsSwitchedOffStaysOff
//   - the FIN goes out before the alert: TestTheEndOfAConnectionInTLSIsSaid

func TestClientsOfTLSLoseNothing(t *testing.T) {
	current := start(t, "serve", config{Release: "v1", TLS: true, NoHTTP2: true})
	load := sendBy(t, current.addr, func(addr string) (*client, error) { return dialTLS(addr, "http/1.1") })
	said := make(map[string]int)
	for i := range upgrades {
		name := fmt.Sprintf("v%d", i+2)
		next := start(t, "serve", config{Release: name, Addr: current.addr, TLS: true, NoHTTP2: true})
		load.awaitAnswer(t, name)
		v := current.leaves()
		said[v.Release] = int(v.Requests)
		current = next
	}
	load.lostNothing(t)
	v := current.leaves()
	said[v.Release] = int(v.Requests)
	for release, n := range load.answered {
		if said[release] != n {
			t.Errorf("%s answered %d requests, its verdict says %d", release, n, said[release])
		}
	}
}

// secured prepares a server that speaks TLS.
func secured(edit ...func(*http.Server)) func(*http.Server) {
	return func(srv *http.Server) {
		cert, _ := certificate()
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		for _, f := range edit {
			f(srv)
		}
	}
}

func TestTheConfigOfTLSStaysTheUsers(t *testing.T) {
	t.Parallel()
	var users *tls.Config
	p := serveHere(t, Options{}, secured(func(srv *http.Server) { users = srv.TLSConfig }))
	if len(users.NextProtos) > 0 {
		t.Errorf("NextProtos became %q", users.NextProtos)
	}
	if p.srv.TLSConfig == users {
		t.Error("Serve uses it, and does not keep to a clone")
	}
}

// Instances that set the same keys resume each other's sessions.
func TestSessionTicketKeysThatAreSetOnceItServesAreUsed(t *testing.T) {
	t.Parallel()
	key := [][32]byte{{1, 2, 3}}
	for name, tc := range map[string]struct {
		keys    bool
		resumes bool
	}{"the same keys": {true, true}, "keys of their own": {false, false}} {
		t.Run(name, func(t *testing.T) {
			cfg := trust("http/1.1")
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i := range 2 {
				p := serveHere(t, Options{}, secured())
				if tc.keys {
					p.srv.TLSConfig.SetSessionTicketKeys(key)
				}
				secret, err := tls.Dial("tcp", p.addr, cfg)
				if err != nil {
					t.Fatal(err)
				}
				c := &client{secret, bufio.NewReader(secret)}
				if _, err := c.ask("/", "hi"); err != nil { // the ticket comes with the answer
					t.Fatal(err)
				}
				if resumed := secret.ConnectionState().DidResume; resumed != (tc.resumes && i > 0) {
					t.Errorf("connection %d resumed: %v", i, resumed)
				}
				c.Close()
			}
		})
	}
}

func TestHTTP2ThatIsSwitchedOffStaysOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edit func(*http.Server)
		want string
	}{
		"by default it is on": {func(*http.Server) {}, "h2"},
		"by Protocols": {func(srv *http.Server) {
			srv.Protocols = new(http.Protocols)
			srv.Protocols.SetHTTP1(true)
		}, "http/1.1"},
		"by TLSNextProto": {func(srv *http.Server) {
			srv.TLSNextProto = make(map[string]func(*http.Server, *tls.Conn, http.Handler))
		}, "http/1.1"},
		"by Protocols, but not in clear": {func(srv *http.Server) {
			srv.Protocols = new(http.Protocols)
			srv.Protocols.SetHTTP1(true)
			srv.Protocols.SetUnencryptedHTTP2(true)
		}, "http/1.1"},
		"and HTTP/1 too, by Protocols": {func(srv *http.Server) {
			srv.Protocols = new(http.Protocols)
			srv.Protocols.SetHTTP2(true)
		}, "h2"},
		"by Protocols, though NextProtos has it": {func(srv *http.Server) {
			srv.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
			srv.Protocols = new(http.Protocols)
			srv.Protocols.SetHTTP1(true)
		}, "http/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveHere(t, Options{}, secured(tc.edit))
			spoken(t, p.addr, tc.want)
		})
	}
	t.Run("by GODEBUG", func(t *testing.T) {
		off := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GODEBUG=http2server=0") }
		p := start(t, "serve", config{Release: "v1", TLS: true}, off)
		spoken(t, p.addr, "http/1.1")
	})
}

// spoken wants a server to choose a protocol, and to speak it where that is HTTP/1.
func spoken(t *testing.T, addr, want string) {
	t.Helper()
	c, err := dialTLS(addr, "h2", "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != want {
		t.Fatalf("a client that offers both is told %q, want %q", got, want)
	}
	if want == "h2" {
		return
	}
	if a, err := c.ask("/", "hi"); err != nil || a.body != "hi" {
		t.Errorf("got %+v, %v", a, err)
	}
}

// In TLS the end of a connection is said, so that nobody can cut it short unseen: a
// client that takes it seriously calls an end without close_notify an error.
func TestTheEndOfAConnectionInTLSIsSaid(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for how, after := range map[string]bool{"to an idle one": false, "behind the last answer": true} {
			t.Run(how+" in "+name, func(t *testing.T) {
				t.Parallel()
				v1 := start(t, "serve", config{Release: "v1", TLS: true, NoHTTP2: true, Linger: slow / 2})
				cfg := trust("http/1.1")
				cfg.MinVersion, cfg.MaxVersion = version, version
				raw := &tap{Conn: connect(t, v1.addr).Conn}
				secret := tls.Client(raw, cfg)
				c := &talker{&client{secret, bufio.NewReader(secret)}, t}
				c.write(post("/", 2), "hi")
				c.wants(http.StatusOK, "hi")
				v1.handOver(PhaseLinger)
				if after {
					c.write(post("/", 2), "ho")
					c.wants(http.StatusOK, "ho")
				}
				c.atEnd()
				if !raw.endsWithAlert(version) {
					t.Error("the connection ended without close_notify")
				}
				c.Close()
				if v := v1.verdict(); !v.Lossless {
					t.Errorf("verdict: %+v", v)
				}
			})
		}
	}
}

// tap keeps what was read.
type tap struct {
	net.Conn
	got bytes.Buffer
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.got.Write(p[:n])
	return n, err
}

// endsWithAlert says whether the last record is an alert. In TLS 1.3 it looks like
// data of that length.
func (c *tap) endsWithAlert(version uint16) bool {
	var last []byte
	for rest := c.got.Bytes(); len(rest) >= 5; {
		n := min(len(rest), 5+(int(rest[3])<<8|int(rest[4])))
		last, rest = rest[:n], rest[n:]
	}
	if version == tls.VersionTLS12 {
		return last[0] == 21
	}
	return last[0] == 23 && len(last) == 5+2+1+16
}
