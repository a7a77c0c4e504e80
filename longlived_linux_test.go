package overlap

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Handlers that end late, in their own way, or never.
//
// Broken on purpose, and seen red:
//
//   - the clock runs for what is active: TestAHandlerThatEndsByRegisterOnShutdownEndsWhole
//   - Flush does not wait for what is hijacked: TestAHijackedConnectionIsWaitedFor
//   - Cut counts nothing: TestWhatEndsByNothingIsCutAndCounted

// The function is called by Shutdown, which is the last step: see Instance.Serve.
func TestAHandlerThatEndsByRegisterOnShutdownEndsWhole(t *testing.T) {
	t.Parallel()
	v1 := start(t, "serve", config{Release: "v1", Drain: 3 * time.Second, Finish: 2 * time.Second})
	c := talk(t, v1)
	c.write(get("/events"))
	v1.awaitBegun("/events")
	v1.handOver(PhaseLinger)
	c.wants(http.StatusOK, "end of events")
	v := v1.succeeded(1, c)
	t.Logf("it was told after %v", v.Phases[PhaseLinger])
}

// inEachTongue runs a test in clear and in TLS.
func inEachTongue(t *testing.T, test func(t *testing.T, c config, talk func(*instance) *talker)) {
	t.Parallel()
	t.Run("in clear", func(t *testing.T) {
		t.Parallel()
		test(t, config{Release: "v1"}, func(p *instance) *talker { return talk(t, p) })
	})
	t.Run("in TLS", func(t *testing.T) {
		t.Parallel()
		test(t, config{Release: "v1", TLS: true}, func(p *instance) *talker { return talkTLS(t, p) })
	})
}

// hears reads what a handler says in its own words.
func (c *talker) hears(what string) {
	c.t.Helper()
	got := make([]byte, len(what))
	if _, err := io.ReadFull(c.in, got); err != nil || string(got) != what {
		c.t.Fatalf("heard %q, %v, want %q", got, err, what)
	}
}

func TestAHijackedConnectionIsWaitedFor(t *testing.T) {
	inEachTongue(t, func(t *testing.T, conf config, talk func(*instance) *talker) {
		v1 := start(t, "serve", conf)
		c := talk(v1)
		c.write(get("/hijack"))
		c.hears("hello,")
		v1.handOver(PhaseFlush)
		c.silent(slow / 4)
		v1.say("release")
		c.hears("bye")
		c.atEnd()
		v1.succeeded(0, c) // it was no request of net/http's any more
	})
}

func TestWhatEndsByNothingIsCutAndCounted(t *testing.T) {
	inEachTongue(t, func(t *testing.T, conf config, talk func(*instance) *talker) {
		conf.Drain, conf.Finish = slow, slow/4
		v1 := start(t, "serve", conf)
		var clients []*talker
		for range 3 {
			c := talk(v1)
			c.write(get("/hijack/deaf"))
			c.hears("hello,")
			clients = append(clients, c)
		}
		busy := talk(v1)
		busy.write(get("/deaf"))
		v1.awaitBegun("/deaf")
		began := time.Now()
		v1.handOver(PhaseCut)
		v1.ends(Verdict{Cut: 4}, began.Add(conf.Drain))
		for _, c := range append(clients, busy) {
			if rest, _ := io.ReadAll(c.in); len(rest) > 0 {
				t.Errorf("it was cut, and said %q", rest)
			}
		}
	})
}

// ends wants a verdict with these counts, and an exit in time.
func (p *instance) ends(want Verdict, deadline time.Time) {
	p.t.Helper()
	v := p.verdict()
	if late := time.Since(deadline); late > slow { // a machine may be busy; what hangs is later
		p.t.Errorf("it was gone %v after its deadline", late)
	}
	got := Verdict{Lossless: v.Lossless, Abandoned: v.Abandoned, Late: v.Late, Cut: v.Cut, Unacknowledged: min(v.Unacknowledged, 1)}
	if !reflect.DeepEqual(got, want) {
		p.t.Errorf("the verdict is %+v, which should count %+v", v, want)
	}
	if cut := v.Cut > 0 || v.Unacknowledged > 0; cut != strings.Contains(p.stderr.String(), ErrCut.Error()) {
		p.t.Errorf("Serve returned %q for %+v", p.stderr, v)
	}
}
