package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"time"
)

// target is the service under load, and what is known of its answers.
type target struct {
	// addr is an IP address and port. A name could stand for several
	// addresses, and to dial the second would hide a loss on the first.
	addr string
	host string // for the Host header
	path string
	// reference: it is cmd/server, so `/` says hello from its release and
	// /echo gives back what it gets. Of others only the status can be judged.
	reference bool
}

// get returns a GET request as it goes over the wire.
func (t target) get(path string, last bool) []byte {
	wire := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n", path, t.host)
	if last {
		wire = append(wire, "Connection: close\r\n"...)
	}
	return append(wire, "\r\n"...)
}

// getEvents returns a GET for the events behind the one that was seen last.
func (t target) getEvents(seen uint64) []byte {
	return fmt.Appendf(nil, "GET /events HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nLast-Event-ID: %d\r\n\r\n", t.host, seen)
}

// getOld returns the same in HTTP/1.0.
func (t target) getOld(path string, keep bool) []byte {
	wire := fmt.Appendf(nil, "GET %s HTTP/1.0\r\nHost: %s\r\n", path, t.host)
	if keep {
		wire = append(wire, "Connection: keep-alive\r\n"...)
	}
	return append(wire, "\r\n"...)
}

// appendPost appends the head of a POST to /echo whose body is that long, or
// comes in chunks when length is negative. extra is a header line more, or nothing.
func (t target) appendPost(wire []byte, length int, extra string) []byte {
	wire = fmt.Appendf(wire, "POST /echo HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\n%s", t.host, extra)
	if length < 0 {
		return append(wire, "Transfer-Encoding: chunked\r\n\r\n"...)
	}
	return fmt.Appendf(wire, "Content-Length: %d\r\n\r\n", length)
}

// check judges an answer to a POST of posted, or to a GET when that is nil.
func (t target) check(a answer, posted []byte) error {
	if a.status < 200 || a.status > 299 {
		return fmt.Errorf("%w %d", errStatus, a.status)
	}
	if !t.reference {
		return nil
	}
	want := posted
	if want == nil {
		want = []byte("hello from " + a.release + "\n")
	}
	if !bytes.Equal(a.body, want) {
		return fmt.Errorf("%w: %d bytes %.40q, wanted %d bytes %.40q", errBody, len(a.body), a.body, len(want), want)
	}
	return nil
}

// discover asks a running service once and finds out what it is.
func discover(ctx context.Context, u *url.URL, timeout time.Duration) (target, error) {
	addr, err := resolve(ctx, u)
	if err != nil {
		return target{}, err
	}
	t := target{addr: addr, host: u.Host, path: u.RequestURI(), reference: true}
	c := newClient(dialer{addr: addr}, timeout)
	a, err := c.exchange(t.get(t.path, true), true)
	if err != nil {
		return target{}, fmt.Errorf("ask %s once: %w (start the service first)", u, err)
	}
	t.reference = a.release != "" && t.path == "/" && t.check(a, nil) == nil
	return t, nil
}

func resolve(ctx context.Context, u *url.URL) (string, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return "", fmt.Errorf("resolve the host of %s: %w", u, err)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(ips[0].Unmap().String(), port), nil
}
