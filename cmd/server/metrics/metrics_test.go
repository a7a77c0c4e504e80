package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Broken on purpose, and seen red:
//   - a field of the verdict is left out: TestAVerdictIsCounted
//   - legacies stay for ever; the same instance is kept twice: TestALegacyIsShownForAWhile
//   - series of nobody are taken; a body is not bounded: TestOnlyALegacyIsTaken
//   - a legacy is shown beside what its instance still says: TestALegacyIsTheLastWord
//   - the second release's words win: TestReleasesMayDiffer
//   - a stranger is asked again; one that is silent is forgotten: TestSiblingsAreRemembered

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// values are all series that begin with overlap, without those of buckets, as text.
func values(t testing.TB, families []*dto.MetricFamily, err error) map[string]float64 {
	t.Helper()
	must(t, err)
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			if !strings.HasPrefix(f.GetName(), "overlap") {
				continue
			}
			name := f.GetName() + labelsOf(m)
			if _, twice := all[name]; twice {
				t.Errorf("%s is there twice", name)
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func labelsOf(m *dto.Metric) string {
	text := ""
	for _, l := range m.Label {
		text += " " + l.GetValue()
	}
	return text
}

func gathered(t testing.TB, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := g.Gather()
	must(t, err)
	return families
}

func TestDurationsHaveNativeBucketsToo(t *testing.T) {
	m := New("v1", "", "")
	m.Request(200, time.Millisecond, false)
	for _, f := range gathered(t, m.registry) {
		if f.GetType() == dto.MetricType_HISTOGRAM && f.GetName() == "overlap_http_request_duration_seconds" {
			h := f.Metric[0].Histogram
			if h.Schema == nil || len(h.PositiveSpan) == 0 || len(h.Bucket) == 0 {
				t.Errorf("it has %+v", h)
			}
			return
		}
	}
	t.Error("there are no durations")
}

func TestAVerdictIsCounted(t *testing.T) {
	m := New("v1", "", "")
	before := values(t, gathered(t, m.registry), nil)
	m.Verdict(overlap.Verdict{
		Abandoned: 1, Expired: 2, Late: 3, Cut: 4, Unacknowledged: 5,
		Phases: map[overlap.Phase]time.Duration{overlap.PhaseSettle: 6 * time.Second},
	})
	after := values(t, gathered(t, m.registry), nil)
	for name, want := range map[string]float64{
		"overlap_retirements_total false": 1, "overlap_retirements_total true": 0,
		"overlap_abandoned_connections_total": 1, "overlap_expired_handshakes_total": 2, "overlap_late_requests_total": 3,
		"overlap_cut_connections_total": 4, "overlap_unacknowledged_bytes_total": 5,
		"overlap_retirement_phase_seconds_total settle": 6, "overlap_retirement_phase_seconds_total steer": 0,
	} {
		if was, is := before[name]; was != 0 || !is {
			t.Errorf("%s was not there as 0 from the beginning", name)
		}
		if after[name] != want {
			t.Errorf("%s is %v, want %v", name, after[name], want)
		}
	}
	m.Verdict(overlap.Verdict{Lossless: true})
	if n := values(t, gathered(t, m.registry), nil)["overlap_retirements_total true"]; n != 1 {
		t.Errorf("%v were lossless", n)
	}
}

// left is what an instance has left behind.
func left(name string, requests float64) legacy {
	f := control.Found{Status: control.Status{Instance: name, Release: "of " + name, Requests: int64(requests)}}
	families, _ := shown{f}.families()
	return legacy{name, onlyCounted(families), time.Now().Add(legacyLife)}
}

func TestALegacyIsShownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l legacies
		l.keep(left("A", 1))
		time.Sleep(legacyLife / 2)
		l.keep(left("B", 2))
		l.keep(left("B", 3))
		is := func(want ...string) {
			t.Helper()
			got := values(t, gathered(t, &l), nil)
			if len(got) != len(want) {
				t.Errorf("got %v, want %v", got, want)
			}
			for _, w := range want {
				if _, ok := got[w]; !ok {
					t.Errorf("got %v, want %s", got, w)
				}
			}
		}
		is("overlap_answered_requests_total A of A", "overlap_answered_requests_total B of B")
		time.Sleep(legacyLife/2 + time.Second)
		is("overlap_answered_requests_total B of B")
		time.Sleep(legacyLife / 2)
		is()
		for i := range 2 * mostLegacies {
			l.keep(left(fmt.Sprint(i), 1))
		}
		if n := len(l.all()); n != mostLegacies {
			t.Errorf("%d are kept", n)
		}
	})
}

func TestOnlyALegacyIsTaken(t *testing.T) {
	m := New("v1", "", "")
	hand := func(families []*dto.MetricFamily, query string) int {
		body, err := encode(families)
		must(t, err)
		w := httptest.NewRecorder()
		m.Private().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/legacies"+query, body))
		return w.Code
	}
	if code := hand(left("A", 1).families, "?for=1m"); code != http.StatusOK {
		t.Errorf("answered %d", code)
	}
	huge := left("B", 1).families
	huge[0].Help = new(strings.Repeat("x", mostLegacy))
	for name, code := range map[string]int{
		"of nobody":     hand(gathered(t, m.registry), "?for=1m"),
		"without end":   hand(left("B", 1).families, ""),
		"without bound": hand(huge, "?for=1m"),
	} {
		if code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", name, code)
		}
	}
	if all := m.legacies.all(); len(all) != 1 || all[0].instance != "A" || time.Until(all[0].until) > time.Minute {
		t.Errorf("kept %+v", all)
	}
}

func TestALegacyIsTheLastWord(t *testing.T) {
	still := control.Found{Status: control.Status{Instance: "A", Release: "of A", State: "retiring", Requests: 1}}
	last := map[string][]*dto.MetricFamily{"A": left("A", 2).families}
	families, err := assemble([]control.Found{still}, make([]answer, 1), last)
	got := values(t, families, err)
	if n := got["overlap_answered_requests_total A of A"]; n != 2 {
		t.Errorf("answered %v", n)
	}
	if n := got["overlap_state A of A retiring"]; n != 1 {
		t.Errorf("its state is not shown: %v", got)
	}
}

func TestReleasesMayDiffer(t *testing.T) {
	counter := func(help string, kind dto.MetricType, release string) []*dto.MetricFamily {
		m := &dto.Metric{Label: []*dto.LabelPair{{Name: new("release"), Value: &release}}, Counter: &dto.Counter{Value: new(1.0)}}
		return labelled([]*dto.MetricFamily{{Name: new("overlap_x"), Help: &help, Type: &kind, Metric: []*dto.Metric{m}}},
			control.Found{Status: control.Status{Release: release, Instance: "I-" + release}})
	}
	var m merger
	m.add(counter("first", dto.MetricType_COUNTER, "v1"))
	m.add(counter("second", dto.MetricType_COUNTER, "v2"))
	m.add(counter("third", dto.MetricType_GAUGE, "v3"))
	all := m.families()
	if len(all) != 1 || all[0].GetHelp() != "first" || len(all[0].Metric) != 2 {
		t.Errorf("got %v", all)
	}
	for i, want := range []string{" v1 v1 I-v1", " v2 v2 I-v2"} {
		if got := labelsOf(all[0].Metric[i]); got != want || all[0].Metric[i].Label[0].GetName() != "exported_release" {
			t.Errorf("labels %v", all[0].Metric[i])
		}
	}
}
