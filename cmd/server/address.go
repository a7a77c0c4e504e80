package main

import (
	"fmt"
	"net"
	"strings"
)

// address is a place to listen on, and what is spoken there.
type address struct {
	hostport string
	tls      bool
}

func (a address) String() string {
	if a.tls {
		return "https://" + a.hostport
	}
	return "http://" + a.hostport
}

// port is a number, or the name of one.
func (a address) port() string {
	_, port, _ := net.SplitHostPort(a.hostport) // parseAddress has read it
	return port
}

// addresses reads Addr. Port 0 is another one each time, any other may be there once:
// two sockets of ours on one port would share its connections by chance.
func (c *config) addresses() ([]address, error) {
	all := make([]address, 0, len(c.Addr))
	seen := make(map[string]bool, len(c.Addr))
	for _, text := range c.Addr {
		a, err := parseAddress(text, c.hasTLS())
		if err != nil {
			return nil, err
		}
		if seen[a.hostport] && !strings.HasSuffix(a.hostport, ":0") {
			return nil, fmt.Errorf("%s is there twice", a.hostport)
		}
		seen[a.hostport] = true
		all = append(all, a)
	}
	return all, nil
}

// parseAddress reads [http://|https://]host:port. Where the scheme is not said, the
// address speaks TLS if there is a certificate.
func parseAddress(text string, secure bool) (address, error) {
	a := address{hostport: text, tls: secure}
	if scheme, rest, found := strings.Cut(text, "://"); found {
		if scheme != "http" && scheme != "https" {
			return a, fmt.Errorf("%s: %q is neither http nor https", text, scheme)
		}
		a = address{hostport: rest, tls: scheme == "https"}
	}
	_, port, err := net.SplitHostPort(a.hostport)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return a, fmt.Errorf("%w (write :8080, 127.0.0.1:8080 or https://:8443)", err)
	}
	return a, nil
}
