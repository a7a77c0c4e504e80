package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ba995850/overlap/internal/control"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const (
	// legacyLife is how long what an instance has counted outlives it: some scrapes, and an
	// alert that looks back five minutes.
	legacyLife = 10 * time.Minute
	// mostLegacies and mostLegacy bound what siblings can make us keep.
	mostLegacies = 32
	mostLegacy   = 1 << 20
	// bequestTime is how long the siblings may take to take a legacy: one may be stopped.
	bequestTime = time.Second
)

// legacy is what an instance has counted in its whole life. What it was, and is no more
// (gauges), is not in it.
type legacy struct {
	instance string // its short name
	families []*dto.MetricFamily
	until    time.Time
}

// legacies are those of the siblings that have left, the latest last.
type legacies struct {
	mu   sync.Mutex
	kept []legacy
}

// keep takes the place of what was kept of the same instance.
func (l *legacies) keep(next legacy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = slices.DeleteFunc(l.kept, func(k legacy) bool { return k.instance == next.instance })
	l.kept = append(l.kept, next)
	l.kept = l.kept[max(0, len(l.kept)-mostLegacies):]
}

// all are those that are still to be shown.
func (l *legacies) all() []legacy {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.kept = slices.DeleteFunc(l.kept, func(k legacy) bool { return now.After(k.until) })
	return slices.Clone(l.kept)
}

// Gather makes it a prometheus.Gatherer.
func (l *legacies) Gather() ([]*dto.MetricFamily, error) {
	var m merger
	for _, k := range l.all() {
		m.add(k.families)
	}
	return m.families(), nil
}

// take is the handler by which a sibling hands over. ?for= says how long to keep it.
func (l *legacies) take(w http.ResponseWriter, r *http.Request) {
	left, err := time.ParseDuration(r.FormValue("for"))
	if err == nil {
		err = l.read(http.MaxBytesReader(w, r.Body, mostLegacy), min(left, legacyLife))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (l *legacies) read(body io.Reader, left time.Duration) error {
	families, err := decode(body)
	if err != nil {
		return err
	}
	for instance, theirs := range byInstance(families) {
		if instance == "" {
			return errors.New("there are series without an instance")
		}
		l.keep(legacy{instance, theirs, time.Now().Add(left)})
	}
	return nil
}

// Bequeath hands what this instance has counted, and what it has kept of others, to those
// who stay. The caller has counted the verdict, counts nothing any more, and has its
// endpoint still open. Itself it keeps it, too, for the scrapes that it answers to its very
// end. It returns within half a second or so, and no error where a sibling does not take it.
func (m *Metrics) Bequeath(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, bequestTime)
	defer stop()
	all, err := control.Find(ctx, bequestTime/2)
	self, found := ourselves(all)
	if !found {
		return err // there is no endpoint, so nobody has seen it
	}
	own, err := m.legacyOf(self)
	if err != nil {
		return err
	}
	m.legacies.keep(own)
	var heirs sync.WaitGroup
	for _, f := range all {
		if f.Err == nil && f.Instance != self.Instance && f.SharesPort(self) {
			heirs.Go(func() { m.bequeathTo(ctx, f.Instance) })
		}
	}
	heirs.Wait()
	return nil
}

func (m *Metrics) legacyOf(self control.Found) (legacy, error) {
	counted, err := m.registry.Gather()
	if err != nil {
		return legacy{}, err
	}
	shows, err := shown{self}.families()
	if err != nil {
		return legacy{}, err
	}
	var all merger
	all.add(shows)
	all.add(labelled(counted, self))
	return legacy{shortName(self.Instance), onlyCounted(all.families()), time.Now().Add(legacyLife)}, nil
}

// bequeathTo does what it can: a sibling that has no metrics refuses, and one that is
// stopped is not waited for.
func (m *Metrics) bequeathTo(ctx context.Context, sibling string) {
	for _, k := range m.legacies.all() {
		body, err := encode(k.families)
		if err != nil {
			continue
		}
		target := fmt.Sprintf("/legacies?for=%v", time.Until(k.until))
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, body)
		if err != nil {
			continue
		}
		if resp, err := control.Private(sibling, r); err == nil {
			resp.Body.Close()
		}
	}
}

// onlyCounted leaves out gauges.
func onlyCounted(families []*dto.MetricFamily) []*dto.MetricFamily {
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return !isCounted(f) })
}

func isCounted(f *dto.MetricFamily) bool {
	return f.GetType() == dto.MetricType_COUNTER || f.GetType() == dto.MetricType_HISTOGRAM
}

// Native histograms can be said in this format only.
var wire = expfmt.NewFormat(expfmt.TypeProtoDelim)

func encode(families []*dto.MetricFamily) (*bytes.Buffer, error) {
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, wire)
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return nil, err
		}
	}
	return &b, nil
}

func decode(r io.Reader) (families []*dto.MetricFamily, err error) {
	d := expfmt.NewDecoder(r, wire)
	for {
		f := new(dto.MetricFamily)
		switch err := d.Decode(f); {
		case errors.Is(err, io.EOF):
			return families, nil
		case err != nil:
			return nil, err
		}
		families = append(families, f)
	}
}
