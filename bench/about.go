package main

import (
	"runtime"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// about says what is about to be run.
func (c config) about() evidence.About {
	return evidence.About{Name: c.scenario, What: c.String(), Began: time.Now(), Subject: c.subject(), Settings: c.settings}
}

// subject says what is upgraded. Where a server of ours leaves as everybody does,
// nothing of the product is in what is seen: it is net/http.
func (c config) subject() evidence.Subject {
	switch {
	case c.rival != nil:
		return rivalSubject(c.rival)
	case c.url != nil:
		return evidence.Subject{System: "the service at " + c.url.Host, Method: "by hand"}
	case c.retire == "plain":
		return evidence.Subject{System: "net/http", Version: runtime.Version(), Method: "SO_REUSEPORT, and Shutdown on SIGTERM"}
	}
	return evidence.Subject{System: "overlap", Method: "start the next release, SIGTERM to the one before"}
}
