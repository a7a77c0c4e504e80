package overlap

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// talker is a client that spells its requests out.
type talker struct {
	*client
	t testing.TB
}

func talk(t testing.TB, p *instance) *talker {
	t.Helper()
	return &talker{connect(t, p.addr), t}
}

// talkTLS is talk in TLS.
func talkTLS(t testing.TB, p *instance, protos ...string) *talker {
	t.Helper()
	c, err := dialTLS(p.addr, protos...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &talker{c, t}
}

// dialTLS is dial in TLS, with a certificate that the client believes.
func dialTLS(addr string, protos ...string) (*client, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	secret := tls.Client(c.Conn, trust(protos...))
	if err := secret.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return &client{secret, bufio.NewReader(secret)}, nil
}

var trusted = sync.OnceValue(func() *x509.CertPool {
	_, roots := certificate()
	return roots
})

// trust is what a client of ours needs to know.
func trust(protos ...string) *tls.Config {
	return &tls.Config{RootCAs: trusted(), ServerName: "127.0.0.1", NextProtos: protos}
}

func (c *talker) write(what ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, strings.Join(what, "")); err != nil {
		c.t.Fatal(err)
	}
}

// trickle writes in small pieces, the last one after d.
func (c *talker) trickle(what string, d time.Duration) {
	c.t.Helper()
	const pieces = 20
	tick := time.NewTicker(d / pieces)
	defer tick.Stop()
	for piece := range slices.Chunk([]byte(what), (len(what)+pieces-1)/pieces) {
		<-tick.C
		c.write(string(piece))
	}
}

// post is the head of a POST.
func post(path string, length int, headers ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n%s\r\n", path, length, strings.Join(headers, ""))
}

const expect = "Expect: 100-continue\r\n"

// response is an answer, of any status, with its header and trailer.
type response struct {
	*http.Response
	body string
}

// read reads a response.
func (c *talker) read() response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("after %d bytes of the body: %v", len(body), err)
	}
	return response{resp, string(body)}
}

// wants reads a response and compares it.
func (c *talker) wants(status int, body string) response {
	c.t.Helper()
	resp := c.read()
	if resp.StatusCode != status || resp.body != body {
		c.t.Fatalf("got %s with %.100q, want %d with %.100q", resp.Status, resp.body, status, body)
	}
	return resp
}

// atEnd wants the server to have ended its side in good order, with nothing more said.
func (c *talker) atEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("read %.100q, %v where the connection should have ended", rest, err)
	}
}

// silent wants the server to say nothing for a while.
func (c *talker) silent(d time.Duration) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(d))
	if b, err := c.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("read %q, %v where nothing should be said", b, err)
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
}

// tcp is the connection under TLS.
func (c *talker) tcp() *net.TCPConn {
	if secret, ok := c.Conn.(*tls.Conn); ok {
		return secret.NetConn().(*net.TCPConn)
	}
	return c.Conn.(*net.TCPConn)
}

// succeeded wants the verdict of a retirement that has begun to be lossless, with so
// many requests, and closes the connections before.
func (p *instance) succeeded(requests int64, clients ...*talker) Verdict {
	p.t.Helper()
	for _, c := range clients {
		c.Close()
	}
	v := p.verdict()
	if code := p.cmd.ProcessState.ExitCode(); !v.Lossless || code != 0 || v.Requests != requests {
		p.t.Errorf("exit code %d, want 0, %d requests, and lossless: %+v", code, requests, v)
	}
	return v
}

// handOver starts the next release and retires p, until it is in a phase.
func (p *instance) handOver(phase Phase) (next *instance) {
	p.t.Helper()
	next = start(p.t, "serve", config{Release: "v2", Addr: p.addr})
	p.retire()
	p.awaitPhase(phase)
	return next
}

// chunk is a piece of a chunked body.
func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
