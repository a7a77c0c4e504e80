package main

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

// metrics is what this process has counted.
//
// Who reports what: an instance counts itself and nobody else, from 0 on. Each series of
// its is labelled with its release and its name, whoever is scraped, so a sum over all
// instances has nothing twice. What an instance is (its state, its connections) is taken
// from its endpoint by whoever is scraped: metrics_shown.go. Before it has drained, it hands
// what it has counted, the verdict included, to its siblings, which keep that and show it
// in its place: metrics_legacy.go. So the last scrape of an instance may come after its
// end, its counters end where they stood, and none goes back. Only who is killed leaves
// nothing: its series end with what was scraped.
type metrics struct {
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

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), builtAs(buildVersion()))
	m.countRequests()
	m.countRetirement()
	return m
}

func (m *metrics) countRequests() {
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
func (m *metrics) countRetirement() {
	verdicts := m.counters("overlap_retirements_total", "Retirements by their verdict.", "lossless")
	m.lossless, m.lossy = verdicts.WithLabelValues("true"), verdicts.WithLabelValues("false")
	m.took = m.counters("overlap_retirement_phase_seconds_total", "How long each phase of the retirement took.", "phase")
	for _, p := range phases {
		m.took.WithLabelValues(p)
	}
	m.abandoned = m.counter("overlap_abandoned_connections_total", "Connections that the kernel still held for the instance when it closed: lost.")
	m.expired = m.counter("overlap_expired_handshakes_total", "Half-open handshakes whose client never came back: not lost.")
	m.late = m.counter("overlap_late_requests_total", "Requests that crossed the close of an idle connection: lost.")
	m.cut = m.counter("overlap_cut_connections_total", "Connections that were busy at the deadline: lost.")
	m.unacknowledged = m.counter("overlap_unacknowledged_bytes_total", "Bytes of responses that were not acknowledged at the deadline: lost.")
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) counters(name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.registry.MustRegister(c)
	return c
}

// builtAs is a series that says by its labels which build this is.
func builtAs(b build) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "overlap_build_info", Help: "Which build this is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	}, func() float64 { return 1 })
}

func codeClass(digit int) string {
	if digit == 0 {
		return "aborted"
	}
	return strconv.Itoa(digit) + "xx"
}

// request counts one. It is a tally.
func (m *metrics) request(code int, took time.Duration, endless bool) {
	digit := code / 100
	if digit >= len(m.requests) {
		digit = len(m.requests) - 1 // a handler may say 600, and a client takes it for an error
	}
	m.requests[digit].Inc()
	if !endless {
		m.durations.Observe(took.Seconds())
	}
}

// verdict counts the retirement.
func (m *metrics) verdict(v overlap.Verdict) {
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

// private is what the instance answers at its endpoint. pprof is nowhere else.
func (m *metrics) private() http.Handler {
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

// expose answers scrapes. What can be gathered is shown beside what cannot.
func expose(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// exposeOnce answers scrapes that come at the same time from one look.
func exposeOnce(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: mostScrapes, CoalesceGather: true,
	})
}
