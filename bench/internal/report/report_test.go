package report

import (
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// Broken on purpose, and seen red:
//   - what was not run is held to account, or passes: TestWhatWasNotRunContradictsNobodyAndPassesNothing

// answers makes n records of a release that was asked each millisecond from a
// moment on, and took that long.
func answers(n int, release string, from, took time.Duration) []evidence.Record {
	var made []evidence.Record
	for i := range n {
		made = append(made, evidence.Record{Kind: "new", Due: from + time.Duration(i)*time.Millisecond, Latency: took, Release: release})
	}
	return made
}

func left(release string, requests int) evidence.Departure {
	return evidence.Departure{Release: release, Verdict: &evidence.Verdict{Lossless: true, Tier: "lossless", Requests: requests}}
}

// oneUpgrade is made-up evidence of an upgrade without a loss: 3 s of v1 at
// 1 ms, 1 s around the handover at 2 ms, 3 s of v2 at 1 ms.
func oneUpgrade() evidence.Run {
	records := answers(3000, "v1", 0, time.Millisecond)
	records = append(records, answers(500, "v1", 3000*time.Millisecond, 2*time.Millisecond)...)
	records = append(records, answers(500, "v2", 3500*time.Millisecond, 2*time.Millisecond)...)
	records = append(records, answers(3000, "v2", 4000*time.Millisecond, time.Millisecond)...)
	return evidence.Run{
		About: evidence.About{Moment: "SIGTERM", Judged: true},
		Work:  evidence.Work{Sent: len(records), Records: records},
		Probes: []evidence.Record{
			evidence.Record{Kind: "probe", Latency: time.Millisecond, Release: "v1"},
			evidence.Record{Kind: "probe", Latency: time.Millisecond, Release: "v1"},
			evidence.Record{Kind: "probe", Latency: time.Millisecond, Release: "v2"},
		},
		Handovers: []evidence.Handover{{
			From: "v1", To: "v2", Began: 3200 * time.Millisecond, At: 3500 * time.Millisecond, Over: 3800 * time.Millisecond,
		}},
		Departures: []evidence.Departure{left("v1", 3502), left("v2", 3501)},
	}
}

func TestWhatWasSentIsWhatEachReleaseAnswered(t *testing.T) {
	r := Of(oneUpgrade())
	if !r.Passed() || r.Sent != 7000 || r.Answered != 7000 || r.Failed != 0 {
		t.Errorf("sent %d, answered %d, failed %d, %q; should be 7000, 7000, 0 and pass", r.Sent, r.Answered, r.Failed, r.Disagreements)
	}
	for i, want := range []ReleaseSum{{"v1", 3500, 0, 2}, {"v2", 3500, 0, 1}} {
		if r.Releases[i] != want {
			t.Errorf("row %d is %v, should be %v", i, r.Releases[i], want)
		}
	}
}

func TestTheSecondAroundAHandoverIsMeasuredApart(t *testing.T) {
	r := Of(oneUpgrade())
	h := r.Handovers[0]
	if h.Latency.Requests != 1000 || h.Latency.P50.String() != "2ms" {
		t.Errorf("the handover has %d requests with a median of %v, should be 1000 of 2ms", h.Latency.Requests, h.Latency.P50)
	}
	// Steady leaves out the first half second and 3.1 s to 3.9 s, and so holds
	// 200 of the slow ones.
	if r.Steady.Requests != 5700 || r.Steady.P50.String() != "1ms" {
		t.Errorf("steady has %d requests with a median of %v, should be 5700 of 1ms", r.Steady.Requests, r.Steady.P50)
	}
	if h.Ratio != 1 || r.MedianRatio != 1 {
		t.Errorf("the ratio is %v, the median %v, should both be 1", h.Ratio, r.MedianRatio)
	}
}

func TestUpgradesThatLeaveNothingSteadyAreComparedWithAllElse(t *testing.T) {
	e := evidence.Run{Work: evidence.Work{Records: answers(3000, "v1", 0, time.Millisecond)}, About: evidence.About{Moment: "SIGTERM"}}
	e.Handovers = []evidence.Handover{{From: "v1", To: "v2", At: time.Second, Over: 3 * time.Second}}
	calm, what := steady(e)
	l := sum(calm)
	if l.Requests != 1500 || !strings.Contains(what, "SIGTERM") {
		t.Errorf("steady has %d requests (%s), should be the 1500 after the second around SIGTERM", l.Requests, what)
	}
}

func TestAFewRequestsHaveNoTail(t *testing.T) {
	all := func(evidence.Record) bool { return true }
	if l := measure(answers(trusted-1, "v1", 0, time.Millisecond), all); l.P999 != 0 {
		t.Errorf("%d requests have a p99.9 of %v, should have none", l.Requests, l.P999)
	}
}

func TestAFailureIsNoThroughput(t *testing.T) {
	e := oneUpgrade()
	e.Records[0] = evidence.Record{Kind: "new", Outcome: evidence.Refused}
	r := Of(e)
	if r.Failed != 1 || r.Failures["refused"] != 1 || r.Answered != 6999 || r.Loads[0].Latency.Requests != 6999 {
		t.Errorf("failed %d (%v), answered %d, should be 1 refused and 6999", r.Failed, r.Failures, r.Answered)
	}
	if r.Passed() {
		t.Error("a run that lost something passed")
	}
}

func TestAFailureSaysWhenItWasAndHowLongItTook(t *testing.T) {
	e := oneUpgrade()
	e.Records[0] = evidence.Record{Kind: "new", Due: 1200 * time.Millisecond, Latency: 10 * time.Second,
		Outcome: evidence.EOF, Detail: "unexpected EOF"}
	want := "eof: new, due at 1.2s, after 10s: unexpected EOF"
	if got := Of(e).Examples; len(got) != 1 || got[0] != want {
		t.Errorf("the example is %q, should be %q", got, want)
	}
}

// sessions adds 7 sessions that met another release, which knew so many of them.
func sessions(e *evidence.Run, sharedKeys bool, known int) {
	e.SharedKeys = &sharedKeys
	e.Counts = map[string]int{evidence.HandshakesAcross: 7, evidence.ResumedAcross: known}
}

func TestServersAndClientsMustAgree(t *testing.T) {
	lose := func(e *evidence.Run) { e.Records[0] = evidence.Record{Kind: "new", Outcome: evidence.Reset} }
	for _, c := range []struct {
		name   string
		change func(*evidence.Run)
		want   string // in the only disagreement; empty: there is none
	}{
		{"all is well", func(*evidence.Run) {}, ""},
		{"a server counts one more", func(e *evidence.Run) { e.Departures[0].Verdict.Requests++ }, "v1 says that it answered 3503"},
		{"a server counts one less", func(e *evidence.Run) { e.Departures[1].Verdict.Requests-- }, "v2 says that it answered 3500"},
		{"a loss that nobody admits", lose, "no server says so"},
		{"a loss that is admitted", func(e *evidence.Run) { lose(e); e.Departures[0].Verdict.Lossless = false }, ""},
		{"a loss that nobody had", func(e *evidence.Run) { e.Departures[0].Verdict.Lossless = false }, "no client noticed"},
		{"a host that cannot tell", func(e *evidence.Run) {
			e.Departures[0].Verdict.Lossless, e.Departures[0].Verdict.Tier = false, "best-effort"
		}, ""},
		{"no verdict", func(e *evidence.Run) { e.Departures[1].Verdict = nil }, "v2 gave no verdict"},
		{"a bad end", func(e *evidence.Run) { e.Departures[1].Code = 2 }, "v2 exited with code 2"},
		{"sessions that are resumed", func(e *evidence.Run) { sessions(e, true, 7) }, ""},
		{"a session that is not", func(e *evidence.Run) { sessions(e, true, 6) }, "6 of 7 sessions"},
		{"sessions that cannot be resumed", func(e *evidence.Run) { sessions(e, false, 0) }, ""},
		{"a session that should not be", func(e *evidence.Run) { sessions(e, false, 1) }, "1 of 7 sessions"},
		{"a request of which nothing is known", func(e *evidence.Run) { e.Sent++ }, "7001 requests were sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := oneUpgrade()
			c.change(&e)
			found := Of(e).Disagreements
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)) {
				t.Errorf("found %q, should find %q", found, c.want)
			}
		})
	}
}

func TestALostProbeIsALoss(t *testing.T) {
	e := oneUpgrade()
	e.Probes = append(e.Probes, evidence.Record{Kind: "probe", Outcome: evidence.Reset})
	if r := Of(e); r.Lost() != 1 || r.Passed() {
		t.Errorf("lost %d, passed %v, should be 1 and false", r.Lost(), r.Passed())
	}
}

func TestALoadThatGetsNoAnswerProvesNothing(t *testing.T) {
	if Of(evidence.Run{About: evidence.About{Judged: true}}).Passed() {
		t.Error("a run without a single answer passed")
	}
}

func TestWhatWasNotRunContradictsNobodyAndPassesNothing(t *testing.T) {
	r := Of(evidence.Run{About: evidence.About{Judged: true, Subject: evidence.Subject{System: "HAProxy", Absent: "not installed"}}})
	if len(r.Disagreements) > 0 || r.Passed() {
		t.Errorf("disagreements %q, passed %v, should be none and false", r.Disagreements, r.Passed())
	}
}

func TestAPlainRetirementsVerdictIsShownAndNotJudged(t *testing.T) {
	e := oneUpgrade()
	e.Departures[0].Verdict.Lossless = false
	e.Judged = false
	if r := Of(e); !r.Passed() {
		t.Errorf("it did not pass, for %q", r.Disagreements)
	}
}

func TestTheLastLineSaysItAll(t *testing.T) {
	lost := oneUpgrade()
	lost.Records[0] = evidence.Record{Kind: "new", Outcome: evidence.Other, Detail: "a surprise"}
	lost.Departures[0].Verdict.Lossless = false
	for want, e := range map[string]evidence.Run{
		"PASS: 0 of 7000 requests lost in 1 upgrade": oneUpgrade(),
		"FAIL: 1 of 7000 requests lost in 1 upgrade": lost,
	} {
		var text strings.Builder
		Print(&text, Of(e))
		if !strings.HasSuffix(text.String(), want+"\n") {
			t.Errorf("the report does not end with %q:\n%s", want, &text)
		}
	}
}

// A scenario without its hardship, or without the loss that it is there for, is none.
func TestARunThatIsNotWhatItSaysHasNotPassed(t *testing.T) {
	answered := evidence.Record{Kind: "new", Release: "v1"}
	lost := evidence.Record{Kind: "new", Outcome: evidence.Reset}
	for _, test := range []struct {
		about   evidence.About
		counts  map[string]int
		records []evidence.Record
		passed  bool
	}{
		{evidence.About{Shows: "storms"}, map[string]int{"storms": 1}, []evidence.Record{answered}, true},
		{evidence.About{Shows: "storms"}, map[string]int{"calms": 1}, []evidence.Record{answered}, false},
		{evidence.About{Loses: true}, nil, []evidence.Record{answered, lost}, true},
		{evidence.About{Loses: true}, nil, []evidence.Record{answered}, false},
		{evidence.About{}, nil, []evidence.Record{answered, lost}, false},
	} {
		r := Of(evidence.Run{About: test.about, Work: evidence.Work{Sent: len(test.records), Records: test.records, Counts: test.counts}})
		if r.Passed() != test.passed {
			t.Errorf("%+v with %v: %s, %q", test.about, test.counts, r.Headline(), r.Disagreements)
		}
	}
}
