package report

import (
	"fmt"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// disagreements holds the servers' verdicts against what the clients saw, unless they are
// not to be judged, and the clients' own sums against each other.
func (r Report) disagreements() []string {
	found := r.sumsThatDiffer()
	if !r.Judged {
		return found
	}
	for _, d := range r.Departures {
		found = append(found, r.doubts(d)...)
	}
	if n := len(r.Complaints); n > 0 {
		found = append(found, fmt.Sprintf("the proxy complains of the servers in %s, first: %s", Plural(n, "line"), r.Complaints[0]))
	}
	if len(r.Departures) > 0 && r.Lost() > 0 && !r.anyConfession() {
		found = append(found, fmt.Sprintf("the clients lost %d requests, and no server says so", r.Lost()))
	}
	return found
}

// sumsThatDiffer is about the bench itself: a load that sends nothing, or
// loses count, proves nothing.
func (r Report) sumsThatDiffer() []string {
	switch {
	case r.Absent != "":
		return nil
	case r.Answered == 0:
		return []string{"no request was answered"}
	case r.Sent != r.known():
		return []string{fmt.Sprintf("%d requests were sent, but the fate of %d is known", r.Sent, r.known())}
	}
	return nil
}

func (r Report) known() int { return r.Answered + r.Declined + r.Withdrawn + r.Failed }

// doubts says what is wrong with how one release left.
func (r Report) doubts(d evidence.Departure) (found []string) {
	if d.Code != 0 {
		found = append(found, fmt.Sprintf("%s exited with code %d", d.Release, d.Code))
	}
	if d.Verdict == nil {
		return append(found, d.Release+" gave no verdict")
	}
	if d.Verdict.Confesses() && r.Lost() == 0 {
		found = append(found, fmt.Sprintf("%s says that it lost something (%s), and no client noticed", d.Release, d.Verdict))
	}
	return append(found, r.miscounts(d)...)
}

// miscounts compares the requests that a server says it answered with the
// answers that arrived. What failed, or was broken off by us, may have been answered
// and not arrived.
func (r Report) miscounts(d evidence.Departure) []string {
	said, seen := d.Verdict.Requests, r.answersOf(d.Release)
	if said >= seen && said-seen <= r.Lost()+r.Withdrawn {
		return nil
	}
	return []string{fmt.Sprintf("%s says that it answered %d requests, the clients have %d answers of it", d.Release, said, seen)}
}

// strangeSessions says where sessions were not resumed with another release though both
// have the same keys, or were though they have not.
func (r Report) strangeSessions(sharedKeys bool) []string {
	all, resumed := r.Counts[evidence.HandshakesAcross], r.Counts[evidence.ResumedAcross]
	if sharedKeys && resumed == all || !sharedKeys && resumed == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d sessions were resumed with another release than issued them (shared keys: %v)", resumed, all, sharedKeys)}
}

func (r Report) anyConfession() bool {
	for _, d := range r.Departures {
		if d.Verdict != nil && !d.Verdict.Lossless {
			return true
		}
	}
	return false
}
