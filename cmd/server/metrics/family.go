package metrics

import (
	"os"
	"sync"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// family is how an instance knows its siblings: those who share a port with it. What each
// instance of the host has said last is remembered. So one that is silent is still known to
// be a sibling, or that it is none and need not be waited for.
type family struct {
	mu    sync.Mutex
	self  control.Found // as last heard
	known map[string]relative
}

// relative is what is known of an instance.
type relative struct {
	said   control.Status // its last answer; without a name: it never gave one
	silent bool           // the last time
}

// patience does not wait for strangers, nor long for who was silent before.
func (y *family) patience(instance string) time.Duration {
	y.mu.Lock()
	defer y.mu.Unlock()
	is := y.known[instance]
	switch {
	case is.said.Instance != "" && len(is.said.Ports) > 0 && !y.has(is.said):
		return 0
	case is.silent:
		return scrapeImpatience
	}
	return scrapePatience
}

// pick returns the siblings. One that was never heard may be one: its release is not known,
// but that it does not answer.
func (y *family) pick(all []control.Found) (siblings []control.Found) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if self, found := ourselves(all); found {
		y.self = self
	}
	for _, f := range all {
		is := relative{f.Status, f.Err != nil}
		if is.silent {
			is.said = y.known[f.Instance].said
		}
		y.know(f.Instance, is)
		switch {
		case is.said.Instance == "" && f.UID != os.Geteuid():
			continue
		case is.said.Instance != "" && !y.has(is.said):
			continue
		case is.said.Instance != "":
			f.Status = is.said
		}
		siblings = append(siblings, f)
	}
	return siblings
}

// mostKnown bounds what is remembered: names are never used again.
const mostKnown = 1024

func (y *family) know(instance string, is relative) {
	if y.known == nil || len(y.known) >= mostKnown {
		y.known = make(map[string]relative)
	}
	y.known[instance] = is
}

// has says whether an instance is one of us. As long as we have not come to listen, we have
// no ports, and everybody may be.
func (y *family) has(s control.Status) bool {
	if len(y.self.Ports) == 0 {
		return s.UID == os.Geteuid()
	}
	return control.Found{Status: s}.SharesPort(y.self)
}
