package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// validate says what is wrong with the values. Whether files are there and what is in
// them is another question.
func (c *config) validate() error {
	return errors.Join(c.validateTLS(), c.validateAddr(), c.validateAdminAddr(), c.validateRelease(), c.validateTimeouts())
}

func (c *config) validateTLS() error {
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		return c.wrong("tls-cert", "needs its private key: set tls-key too")
	case c.TLSKey != "" && c.TLSCert == "":
		return c.wrong("tls-key", "needs its certificate: set tls-cert too")
	case c.TLSTicketKeys != "" && !c.hasTLS():
		return c.wrong("tls-ticket-keys", "there are no sessions without TLS: set tls-cert and tls-key too")
	}
	return nil
}

func (c *config) hasTLS() bool { return c.TLSCert != "" && c.TLSKey != "" }

func (c *config) validateAddr() error {
	all, err := c.addresses()
	if err != nil {
		return c.wrong("addr", "%w", err)
	}
	speaks := func(tls bool) bool {
		return slices.ContainsFunc(all, func(a address) bool { return a.tls == tls })
	}
	switch {
	case len(all) == 0:
		return c.wrong("addr", "it is empty: name where to listen")
	case speaks(true) && c.TLSCert+c.TLSKey == "":
		return c.wrong("addr", "https needs tls-cert and tls-key")
	case !speaks(true) && c.hasTLS():
		return c.wrong("tls-cert", "no address speaks TLS: write addr without http://, or add one with https://")
	case !speaks(false) && c.H2C:
		return c.wrong("h2c", "no address is in clear: add one with http://")
	}
	return nil
}

// validateAdminAddr: what it answers is for others than what Addr answers.
func (c *config) validateAdminAddr() error {
	if c.AdminAddr == "" {
		return nil
	}
	a, err := parseAddress(c.AdminAddr, false)
	if err != nil {
		return c.wrong("admin-addr", "%w", err)
	}
	if a.hostport != c.AdminAddr {
		return c.wrong("admin-addr", "it is always in clear: write host:port")
	}
	all, _ := c.addresses() // validateAddr says what is wrong with them
	if slices.ContainsFunc(all, func(b address) bool { return b.port() == a.port() && a.port() != "0" }) {
		return c.wrong("admin-addr", "port %s is in addr, too: take another one", a.port())
	}
	return nil
}

func (c *config) validateRelease() error {
	if c.Release == "" {
		return c.wrong("release", "it is empty: name the version that this is")
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.ContainsFunc(c.Release, unprintable) {
		return c.wrong("release", "%q cannot be written in a header", c.Release)
	}
	return nil
}

func (c *config) validateTimeouts() error {
	for _, t := range c.timeouts() {
		if t.value < 0 {
			return c.wrong(t.key, "%v is negative", t.value)
		}
	}
	if c.DrainTimeout == 0 {
		return c.wrong("drain-timeout", "0s leaves no time to retire in")
	}
	if c.FinishTimeout >= c.DrainTimeout {
		return c.wrong("finish-timeout", "%v must be shorter than drain-timeout, which it is a part of: %v (%s)",
			c.FinishTimeout, c.DrainTimeout, c.from("drain-timeout"))
	}
	if c.Spread >= c.DrainTimeout {
		return c.wrong("spread", "%v must be shorter than drain-timeout, which it is a part of: %v (%s)",
			c.Spread, c.DrainTimeout, c.from("drain-timeout"))
	}
	return nil
}

type timeout struct {
	key   string
	value time.Duration
}

func (c *config) timeouts() []timeout {
	return []timeout{
		{"drain-timeout", c.DrainTimeout},
		{"finish-timeout", c.FinishTimeout},
		{"linger-timeout", c.LingerTimeout},
		{"settle-timeout", c.SettleTimeout},
		{"spread", c.Spread},
	}
}

// wrong is an error about the value of key.
func (c *config) wrong(key, format string, args ...any) error {
	return fmt.Errorf("%s (%s): %w", key, c.from(key), fmt.Errorf(format, args...))
}

// from says where the value of key was set.
func (c *config) from(key string) string {
	if from := c.origin[key]; from != "" {
		return from
	}
	return unset
}

// unset is the origin of what nobody has set.
const unset = "default"
