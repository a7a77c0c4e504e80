// Package doctor says before an upgrade what will not work at it, and what to do. It
// looks, and changes nothing: on the addresses of a service it does not listen.
package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// Result is how a check has ended.
type Result int

// From what is well to what is worst.
const (
	OK      Result = iota
	Unknown        // it could not look
	Warning        // an upgrade works, with less than there could be
	Fault          // an upgrade would fail, or lose something
)

var results = [...]string{OK: "ok", Unknown: "unknown", Warning: "warning", Fault: "fault"}

func (r Result) String() string { return results[r] }

// MarshalText writes the result as String does.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Finding is what one check has found.
type Finding struct {
	Check  string `json:"check"`
	Addr   string `json:"addr,omitempty"` // which it is about
	Result Result `json:"result"`
	Says   string `json:"says"`
	Remedy string `json:"remedy,omitempty"`
}

// Question is what is asked of Examine.
type Question struct {
	Addrs          []string // host:port, as they would be listened on
	AllowMismatch  bool
	AllowStrangers bool
	NotifySocket   string // of the supervisor, if there is one
	Secrets        error  // why the certificate or the keys of the service cannot be used

	// Patience is how long an instance may take to say how it is.
	Patience time.Duration
}

// Check is one thing that is looked at.
type Check struct{ Name, Means string }

// Checks are all of them, in the order of the findings.
func Checks() (all []Check) {
	for _, c := range hostChecks {
		all = append(all, c.Check)
	}
	for _, c := range placeChecks {
		all = append(all, c.Check)
	}
	return all
}

// Examine looks at the host, and then at each address.
func Examine(ctx context.Context, q Question) (all []Finding, err error) {
	s := sight{Question: q, host: listen.LookAtHost(ctx), endpoint: tryEndpoint()}
	s.instances, s.blind = control.Find(ctx, q.Patience)
	for _, addr := range q.Addrs {
		p, err := listen.LookAt(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		s.places = append(s.places, p)
	}
	return s.findings(), nil
}

// sight is all that was seen.
type sight struct {
	Question
	host      listen.Host
	instances []control.Found
	blind     error // why there may be instances that were not found
	endpoint  error // why there can be no endpoint
	places    []listen.Place
}

func (s *sight) findings() (all []Finding) {
	for _, c := range hostChecks {
		all = append(all, c.judge(s).of(c.Name, ""))
	}
	for _, p := range s.places {
		for _, c := range placeChecks {
			all = append(all, c.judge(s, p).of(c.Name, p.Addr))
		}
	}
	return all
}

// opinion is a finding whose check is known.
type opinion struct {
	result       Result
	says, remedy string
}

func (o opinion) of(check, addr string) Finding {
	return Finding{Check: check, Addr: addr, Result: o.result, Says: o.says, Remedy: o.remedy}
}

func ok(format string, args ...any) opinion {
	return opinion{result: OK, says: fmt.Sprintf(format, args...)}
}

func unknown(err error) opinion {
	return opinion{result: Unknown, says: "could not look: " + err.Error()}
}

func warning(remedy, format string, args ...any) opinion {
	return opinion{Warning, fmt.Sprintf(format, args...), remedy}
}

func fault(remedy, format string, args ...any) opinion {
	return opinion{Fault, fmt.Sprintf(format, args...), remedy}
}

// told takes an error that ends with its remedy, as those of package listen do.
func told(r Result, err error, otherwise string) opinion {
	says, remedy, found := strings.Cut(err.Error(), ". ")
	if !found {
		remedy = otherwise
	}
	return opinion{r, says, remedy}
}
