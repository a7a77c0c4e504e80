package main

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// answers makes n records of a release that was asked each millisecond from a
// moment on, and took that long.
func answers(n int, release string, from, took time.Duration) []record {
	var made []record
	for i := range n {
		made = append(made, newRecord("new", from+time.Duration(i)*time.Millisecond, took, release, nil))
	}
	return made
}

func left(release string, requests int) departure {
	return departure{Release: release, Verdict: &verdict{Lossless: true, Tier: "lossless", Requests: requests}}
}

// oneUpgrade is made-up evidence of an upgrade without a loss: 3 s of v1 at
// 1 ms, 1 s around the handover at 2 ms, 3 s of v2 at 1 ms.
func oneUpgrade() evidence {
	records := answers(3000, "v1", 0, time.Millisecond)
	records = append(records, answers(500, "v1", 3000*time.Millisecond, 2*time.Millisecond)...)
	records = append(records, answers(500, "v2", 3500*time.Millisecond, 2*time.Millisecond)...)
	records = append(records, answers(3000, "v2", 4000*time.Millisecond, time.Millisecond)...)
	return evidence{
		work: work{sent: len(records), records: records},
		probes: []record{
			newRecord("probe", 0, time.Millisecond, "v1", nil),
			newRecord("probe", 0, time.Millisecond, "v1", nil),
			newRecord("probe", 0, time.Millisecond, "v2", nil),
		},
		handovers: []handover{{
			from: "v1", to: "v2", began: 3200 * time.Millisecond, at: 3500 * time.Millisecond, over: 3800 * time.Millisecond,
		}},
		moment:     "SIGTERM",
		departures: []departure{left("v1", 3502), left("v2", 3501)},
		judged:     true,
	}
}

func TestWhatWasSentIsWhatEachReleaseAnswered(t *testing.T) {
	r := account(oneUpgrade())
	if !r.passed() || r.Sent != 7000 || r.Answered != 7000 || r.Failed != 0 {
		t.Errorf("sent %d, answered %d, failed %d, %q; should be 7000, 7000, 0 and pass", r.Sent, r.Answered, r.Failed, r.Disagreements)
	}
	for i, want := range []releaseSum{{"v1", 3500, 0, 2}, {"v2", 3500, 0, 1}} {
		if r.Releases[i] != want {
			t.Errorf("row %d is %v, should be %v", i, r.Releases[i], want)
		}
	}
}

func TestTheSecondAroundAHandoverIsMeasuredApart(t *testing.T) {
	r := account(oneUpgrade())
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
	e := evidence{work: work{records: answers(3000, "v1", 0, time.Millisecond)}, moment: "SIGTERM"}
	e.handovers = []handover{{from: "v1", to: "v2", at: time.Second, over: 3 * time.Second}}
	l, what := steady(e)
	if l.Requests != 1500 || !strings.Contains(what, "SIGTERM") {
		t.Errorf("steady has %d requests (%s), should be the 1500 after the second around SIGTERM", l.Requests, what)
	}
}

func TestAFewRequestsHaveNoTail(t *testing.T) {
	all := func(record) bool { return true }
	if l := measure(answers(trusted-1, "v1", 0, time.Millisecond), all); l.P999 != 0 {
		t.Errorf("%d requests have a p99.9 of %v, should have none", l.Requests, l.P999)
	}
}

func TestAFailureIsNoThroughput(t *testing.T) {
	e := oneUpgrade()
	e.records[0] = newRecord("new", 0, 0, "", syscall.ECONNREFUSED)
	r := account(e)
	if r.Failed != 1 || r.Failures["refused"] != 1 || r.Answered != 6999 || r.Loads[0].Latency.Requests != 6999 {
		t.Errorf("failed %d (%v), answered %d, should be 1 refused and 6999", r.Failed, r.Failures, r.Answered)
	}
	if r.exitCode() != exitLost {
		t.Errorf("exit code %d, should be %d", r.exitCode(), exitLost)
	}
}

// sessions adds 7 sessions that met another release, which knew so many of them.
func TestAFailureSaysWhenItWasAndHowLongItTook(t *testing.T) {
	e := oneUpgrade()
	e.records[0] = newRecord("new", 1200*time.Millisecond, 10*time.Second, "", io.ErrUnexpectedEOF)
	want := "eof: new, due at 1.2s, after 10s: unexpected EOF"
	if got := account(e).Examples; len(got) != 1 || got[0] != want {
		t.Errorf("the example is %q, should be %q", got, want)
	}
}

func sessions(e *evidence, sharedKeys bool, known int) {
	e.sharedKeys = &sharedKeys
	e.counts = map[string]int{handshakesAcross: 7, resumedAcross: known}
}

func TestServersAndClientsMustAgree(t *testing.T) {
	lose := func(e *evidence) { e.records[0] = newRecord("new", 0, 0, "", syscall.ECONNRESET) }
	for _, c := range []struct {
		name   string
		change func(*evidence)
		want   string // in the only disagreement; empty: there is none
	}{
		{"all is well", func(*evidence) {}, ""},
		{"a server counts one more", func(e *evidence) { e.departures[0].Verdict.Requests++ }, "v1 says that it answered 3503"},
		{"a server counts one less", func(e *evidence) { e.departures[1].Verdict.Requests-- }, "v2 says that it answered 3500"},
		{"a loss that nobody admits", lose, "no server says so"},
		{"a loss that is admitted", func(e *evidence) { lose(e); e.departures[0].Verdict.Lossless = false }, ""},
		{"a loss that nobody had", func(e *evidence) { e.departures[0].Verdict.Lossless = false }, "no client noticed"},
		{"a host that cannot tell", func(e *evidence) {
			e.departures[0].Verdict.Lossless, e.departures[0].Verdict.Tier = false, "best-effort"
		}, ""},
		{"no verdict", func(e *evidence) { e.departures[1].Verdict = nil }, "v2 gave no verdict"},
		{"a bad end", func(e *evidence) { e.departures[1].Code = 2 }, "v2 exited with code 2"},
		{"sessions that are resumed", func(e *evidence) { sessions(e, true, 7) }, ""},
		{"a session that is not", func(e *evidence) { sessions(e, true, 6) }, "6 of 7 sessions"},
		{"sessions that cannot be resumed", func(e *evidence) { sessions(e, false, 0) }, ""},
		{"a session that should not be", func(e *evidence) { sessions(e, false, 1) }, "1 of 7 sessions"},
		{"a request of which nothing is known", func(e *evidence) { e.sent++ }, "7001 requests were sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := oneUpgrade()
			c.change(&e)
			found := account(e).Disagreements
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)) {
				t.Errorf("found %q, should find %q", found, c.want)
			}
		})
	}
}

func TestALostProbeIsALoss(t *testing.T) {
	e := oneUpgrade()
	e.probes = append(e.probes, newRecord("probe", 0, 0, "", syscall.ECONNRESET))
	if r := account(e); r.lost() != 1 || r.passed() {
		t.Errorf("lost %d, passed %v, should be 1 and false", r.lost(), r.passed())
	}
}

func TestALoadThatGetsNoAnswerProvesNothing(t *testing.T) {
	if account(evidence{judged: true}).passed() {
		t.Error("a run without a single answer passed")
	}
}

func TestAPlainRetirementsVerdictIsShownAndNotJudged(t *testing.T) {
	e := oneUpgrade()
	e.departures[0].Verdict.Lossless = false
	e.judged = false
	if r := account(e); !r.passed() {
		t.Errorf("it did not pass, for %q", r.Disagreements)
	}
}

func TestHandoversAreSeenWhereNobodyTellsOfThem(t *testing.T) {
	seen := seenHandovers(oneUpgrade().records)
	want := handover{"v1", "v2", 3502 * time.Millisecond, 3501 * time.Millisecond, 3501 * time.Millisecond}
	if len(seen) != 1 || seen[0] != want {
		t.Errorf("saw %v, should see %v", seen, want)
	}
}

func TestAVerdictIsFoundInALog(t *testing.T) {
	v := findVerdict([]byte(`not JSON
{"time":"2026-11-23T10:00:00Z","level":"INFO","msg":"state","release":"v1","from":"serving","to":"retiring"}
{"time":"2026-11-23T10:00:01Z","msg":"verdict","release":"v1","lossless":true,"retired":true,"successor":true,"tier":"lossless","requests":1234,"late":0,"phases":{"steer":0.0123,"settle":0.004,"close":0.001,"linger":0.5}}
`))
	if v == nil {
		t.Fatal("found none")
	}
	if !v.Lossless || v.Requests != 1234 || v.steered().String() != "12.3ms" || v.closed().String() != "17.3ms" {
		t.Errorf("read %+v, steered %v, closed %v", *v, v.steered(), v.closed())
	}
	if v := findVerdict([]byte("panic: no verdict\n")); v != nil {
		t.Errorf("found %v in a log without a verdict", v)
	}
}

func TestTheLastLineSaysItAll(t *testing.T) {
	lost := oneUpgrade()
	lost.records[0] = newRecord("new", 0, 0, "", errors.New("a surprise"))
	lost.departures[0].Verdict.Lossless = false
	for want, e := range map[string]evidence{
		"PASS: 0 of 7000 requests lost in 1 upgrade": oneUpgrade(),
		"FAIL: 1 of 7000 requests lost in 1 upgrade": lost,
	} {
		var text strings.Builder
		printReport(&text, account(e))
		if !strings.HasSuffix(text.String(), want+"\n") {
			t.Errorf("the report does not end with %q:\n%s", want, &text)
		}
	}
}
