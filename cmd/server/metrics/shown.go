package metrics

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// states are those of which there is always a series, 0 or 1.
var states = []string{
	overlap.StateStarting.String(), overlap.StateDark.String(), overlap.StateServing.String(), overlap.StateRetiring.String(), overlap.StateDrained.String(),
}

// phases are the words for those of a retirement, of which the same is true.
func phases() (words []string) {
	for _, p := range overlap.Phases() {
		words = append(words, string(p))
	}
	return words
}

// shown are instances as they show themselves at their endpoints, whatever program they
// are of, and with or without metrics of their own. It is a prometheus.Collector.
type shown []control.Found

// showing is one series of each instance.
type showing struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
}

var (
	upShown       = showing{"overlap_sibling_up", "Whether the instance answers at its endpoint.", prometheus.GaugeValue, nil}
	infoShown     = showing{"overlap_instance_info", "What the instance is.", prometheus.GaugeValue, []string{"pid", "program", "addr"}}
	startShown    = showing{"overlap_start_time_seconds", "When the instance was started.", prometheus.GaugeValue, nil}
	stateShown    = showing{"overlap_state", "1 for the state that the instance is in.", prometheus.GaugeValue, []string{"state"}}
	phaseShown    = showing{"overlap_phase", "1 for the phase that its retirement is in.", prometheus.GaugeValue, []string{"phase"}}
	tierShown     = showing{"overlap_tier_lossless", "Whether the host offers a retirement without loss.", prometheus.GaugeValue, nil}
	connsShown    = showing{"overlap_connections", "Open connections by what they do.", prometheus.GaugeValue, []string{"state"}}
	answeredShown = showing{"overlap_answered_requests_total", "Requests that were answered, also by a server that is not gin.", prometheus.CounterValue, nil}
	acceptedShown = showing{"overlap_accepted_connections_total", "Connections that were accepted, probes of siblings among them.", prometheus.CounterValue, []string{"addr"}}
	queueShown    = showing{"overlap_accept_queue", "Connections that wait to be accepted.", prometheus.GaugeValue, []string{"addr"}}
	halfOpenShown = showing{"overlap_half_open", "Handshakes that have begun.", prometheus.GaugeValue, []string{"addr"}}
	pinnedShown   = showing{"overlap_pinned", "Whether the instance is in the rotation.", prometheus.GaugeValue, []string{"addr"}}
)

func (shown) Describe(chan<- *prometheus.Desc) {} // what there is depends on who is there

func (s shown) Collect(out chan<- prometheus.Metric) {
	for _, f := range s {
		(&shower{instance: f, out: out}).show()
	}
}

// families are the series of all of them.
func (s shown) families() ([]*dto.MetricFamily, error) {
	r := prometheus.NewRegistry()
	return gather(r, r.Register(s))
}

func gather(g prometheus.Gatherer, err error) ([]*dto.MetricFamily, error) {
	all, gathered := g.Gather()
	return all, errors.Join(err, gathered)
}

// shower shows one instance.
type shower struct {
	instance control.Found
	out      chan<- prometheus.Metric
}

func (s *shower) show() {
	f := s.instance
	s.put(upShown, truth(f.Err == nil))
	if f.Err != nil {
		return
	}
	s.put(infoShown, 1, strconv.Itoa(f.PID), f.Program, f.Addr)
	s.put(startShown, float64(f.Started.UnixMilli())/1000)
	s.putOne(stateShown, states, f.State)
	s.putOne(phaseShown, phases(), f.Phase)
	s.put(tierShown, truth(f.Tier == overlap.Tier{Lossless: true}.String()))
	s.put(answeredShown, float64(f.Requests))
	s.showConnections(f.Connections)
	for _, p := range f.Ports {
		s.put(acceptedShown, float64(p.Accepted), p.Addr)
		s.put(queueShown, float64(p.Queued), p.Addr)
		s.put(halfOpenShown, float64(p.HalfOpen), p.Addr)
		s.put(pinnedShown, truth(p.Pinned), p.Addr)
	}
}

func (s *shower) showConnections(c control.Connections) {
	s.put(connsShown, float64(c.Fresh), "fresh")
	s.put(connsShown, float64(c.Active), "active")
	s.put(connsShown, float64(c.Idle), "idle")
	s.put(connsShown, float64(c.Hijacked), "hijacked")
	s.put(connsShown, float64(c.Closing), "closing")
}

// putOne puts 1 for the word that is true now, and 0 for the others. A later release may
// know words that we do not.
func (s *shower) putOne(what showing, words []string, now string) {
	if now != "" && !slices.Contains(words, now) {
		words = append(slices.Clip(words), now)
	}
	for _, word := range words {
		s.put(what, truth(word == now), word)
	}
}

func (s *shower) put(what showing, value float64, labels ...string) {
	names := append([]string{releaseLabel, instanceLabel}, what.labels...)
	values := append([]string{s.instance.Release, shortName(s.instance.Instance)}, labels...)
	for i := range values {
		values[i] = strings.ToValidUTF8(values[i], "?")
	}
	s.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(what.name, what.help, names, nil), what.kind, value, values...)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

const (
	releaseLabel  = "release"
	instanceLabel = "instance"
)

// shortName is the beginning of the name that an instance has at its endpoint: 40 bits by
// chance. A PID would be easier to read, but in each container that shares our network
// there may be a process 1; it is in overlap_instance_info.
func shortName(instance string) string { return instance[:min(len(instance), 8)] }

// ourselves returns this process among the instances.
func ourselves(all []control.Found) (self control.Found, found bool) {
	i := slices.IndexFunc(all, func(f control.Found) bool { return f.Here && f.Err == nil && f.PID == os.Getpid() })
	if i < 0 {
		return control.Found{}, false
	}
	return all[i], true
}
