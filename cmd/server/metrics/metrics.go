// Package metrics is what an instance of the service has counted, and what is shown of its
// siblings to whoever scrapes one of them.
//
// Who reports what: an instance counts itself and nobody else, from 0 on. Each series of
// its is labelled with its release and its name, whoever is scraped, so a sum over all
// instances has nothing twice. What an instance is (its state, its connections) is taken
// from its endpoint by whoever is scraped: shown.go. Before it has drained, it hands what
// it has counted, the verdict included, to its siblings, which keep that and show it in
// its place: legacy.go. So the last scrape of an instance may come after its end, its
// counters end where they stood, and none goes back. Only who is killed leaves nothing:
// its series end with what was scraped.
package metrics

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/ba995850/overlap"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what this process has counted. Its methods may be called at the same time;
// Bequeath comes last.
type Metrics struct {
	registry  *prometheus.Registry
	requests  [6]prometheus.Counter // by the first digit of the code; 0: broken off
	durations prometheus.Histogram

	lossless, lossy prometheus.Counter
	took            *prometheus.CounterVec // by phase
	abandoned       prometheus.Counter
	expired         prometheus.Counter
	late            prometheus.Counter
	cut             prometheus.Counter
	unacknowledged  prometheus.Counter

	legacies legacies
}

// New returns metrics that have counted nothing. They say by labels which build this is.
func New(version, revision, goversion string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(builtAs(prometheus.Labels{"version": version, "revision": revision, "goversion": goversion}))
	m.countRequests()
	m.countRetirement()
	return m
}

func (m *Metrics) countRequests() {
	byCode := m.counters("overlap_http_requests_total",
		"Requests by the class of their code. An aborted one is one whose response was broken off.", "code")
	for i := range m.requests {
		m.requests[i] = byCode.WithLabelValues(codeClass(i))
	}
	m.durations = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "overlap_http_request_duration_seconds",
		Help: "How long requests took, but for event streams and what was hijacked: those end when their clients want.",

		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		// Where these are too many it gets coarser: to begin again would be to go back.
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 160,
	})
	m.registry.MustRegister(m.durations)
}

// countRetirement makes series that are there from the beginning: of one that appears with
// its first loss, no rate would show it.
func (m *Metrics) countRetirement() {
	verdicts := m.counters("overlap_retirements_total", "Retirements by their verdict.", "lossless")
	m.lossless, m.lossy = verdicts.WithLabelValues("true"), verdicts.WithLabelValues("false")
	m.took = m.counters("overlap_retirement_phase_seconds_total", "How long each phase of the retirement took.", "phase")
	for _, p := range overlap.Phases() {
		m.took.WithLabelValues(string(p))
	}
	m.abandoned = m.counter("overlap_abandoned_connections_total", "Connections that the kernel still held for the instance when it closed: lost.")
	m.expired = m.counter("overlap_expired_handshakes_total", "Half-open handshakes whose client never came back: not lost.")
	m.late = m.counter("overlap_late_requests_total", "Requests that crossed the close of an idle connection: lost.")
	m.cut = m.counter("overlap_cut_connections_total", "Connections that were busy at the deadline: lost.")
	m.unacknowledged = m.counter("overlap_unacknowledged_bytes_total", "Bytes of responses that were not acknowledged at the deadline: lost.")
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) counters(name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.registry.MustRegister(c)
	return c
}

// builtAs is a series that says by its labels which build this is.
func builtAs(labels prometheus.Labels) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "overlap_build_info", Help: "Which build this is.", ConstLabels: labels,
	}, func() float64 { return 1 })
}

func codeClass(digit int) string {
	if digit == 0 {
		return "aborted"
	}
	return strconv.Itoa(digit) + "xx"
}

// Request counts one that has ended. Its code is 0 where the response was broken off; it is
// endless if its client ends it, and then it has no duration.
func (m *Metrics) Request(code int, took time.Duration, endless bool) {
	digit := code / 100
	if digit >= len(m.requests) {
		digit = len(m.requests) - 1 // a handler may say 600, and a client takes it for an error
	}
	m.requests[digit].Inc()
	if !endless {
		m.durations.Observe(took.Seconds())
	}
}

// Verdict counts the retirement. The caller has one, and bequeaths after it.
func (m *Metrics) Verdict(v overlap.Verdict) {
	if v.Lossless {
		m.lossless.Inc()
	} else {
		m.lossy.Inc()
	}
	for p, took := range v.Phases {
		m.took.WithLabelValues(string(p)).Add(took.Seconds())
	}
	m.abandoned.Add(float64(v.Abandoned))
	m.expired.Add(float64(v.Expired))
	m.late.Add(float64(v.Late))
	m.cut.Add(float64(v.Cut))
	m.unacknowledged.Add(float64(v.Unacknowledged))
}

// Private is what the instance answers at its endpoint: its own metrics, pprof, and what
// its siblings ask and hand over. The caller has it answer nowhere else: it is for our own
// user.
func (m *Metrics) Private() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", expose(m.registry))
	mux.Handle("GET /legacies", expose(&m.legacies))
	mux.HandleFunc("POST /legacies", m.legacies.take)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// Siblings answers scrapes for all instances that share a port with this one, itself and
// those that have left included. It waits half a second for what is silent, and from then on
// less. Scrapes that come at the same time are answered from one look. What it returns
// remembers the siblings, so the caller asks for it once.
func (m *Metrics) Siblings() http.Handler {
	return promhttp.HandlerFor(&scrape{who: new(family), own: &m.legacies}, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: mostScrapes, CoalesceGather: true,
	})
}

// expose answers scrapes. What can be gathered is shown beside what cannot.
func expose(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
