package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// about says what is about to be run.
func (c config) about() evidence.About {
	return evidence.About{Name: c.scenario, What: c.String(), Action: c.action(), Network: c.network(), Shows: c.shows, Loses: c.loses,
		Began: time.Now(), Subject: c.subject(), Settings: c.settings}
}

// action says what the upgrades are.
func (c config) action() string {
	if c.url != nil {
		return "by hand"
	}
	text := fmt.Sprintf("%d × SIG%s", c.upgrades, c.signal)
	if c.overlapNext {
		text += ", while releases before still leave"
	}
	if c.blind {
		text += ", without steering"
	}
	return text
}

// network says what is between clients and servers.
func (c config) network() string {
	switch {
	case c.url != nil:
		return c.url.Host
	case c.front != "":
		return "loopback, " + c.front + " in front"
	case c.wire == nil:
		return "loopback"
	}
	text := c.wire.String()
	for _, s := range c.sysctls {
		text += "; " + s.name + "=" + s.value
	}
	return text
}

// subject says what is upgraded. Where a server of ours leaves as everybody does,
// nothing of the product is in what is seen: it is net/http.
func (c config) subject() evidence.Subject {
	switch {
	case c.rival != nil:
		return rivalSubject(c.rival)
	case c.url != nil:
		return evidence.Subject{System: "the service at " + c.url.Host, Method: "by hand"}
	case c.signal == "KILL":
		return evidence.Subject{System: "overlap, killed", Method: "start the next release, SIGKILL to the one before"}
	case c.blind:
		return evidence.Subject{System: "overlap, blind", Method: "the same, where the servers cannot see /proc, and do not steer"}
	case c.retire == "plain":
		return evidence.Subject{System: "net/http", Version: runtime.Version(), Method: "SO_REUSEPORT, and Shutdown on SIGTERM"}
	}
	return evidence.Subject{System: "overlap", Method: "start the next release, SIGTERM to the one before"}
}
