package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ba995850/overlap/internal/control"
	dto "github.com/prometheus/client_model/go"
)

const (
	// scrapePatience is how long the instances have to say how they are, all of them
	// together, and then again for their metrics.
	scrapePatience = time.Second / 2
	// scrapeImpatience is how long one has that did not answer the last time.
	scrapeImpatience = scrapePatience / 5
	// mostScrapes is how many are answered at a time.
	mostScrapes = 8
)

// scrape is one look at several instances. It is a prometheus.Gatherer.
type scrape struct {
	who relatives
	own *legacies // nil: it is no instance that looks
}

// relatives say which instances are meant.
type relatives interface {
	// patience is how long to wait for an answer; 0 for one that is not meant.
	patience(instance string) time.Duration
	pick([]control.Found) []control.Found
}

// answer is what one instance has counted, and what it keeps of others.
type answer struct {
	counted, kept []*dto.MetricFamily
	err           error
}

// Gather asks all of them at once. What was kept by us is looked at last: who has ended
// while we asked has left it before.
func (s *scrape) Gather() ([]*dto.MetricFamily, error) {
	ctx := context.Background()
	all, err := control.FindEach(ctx, s.who.patience)
	if err != nil {
		return nil, err
	}
	all = s.who.pick(all)
	answers := askAll(ctx, all)
	legacies := make(map[string][]*dto.MetricFamily)
	for _, a := range answers {
		maps.Copy(legacies, byInstance(a.kept))
	}
	if s.own != nil {
		for _, k := range s.own.all() {
			legacies[k.instance] = k.families
		}
	}
	return assemble(all, answers, legacies)
}

// assemble joins what all have said. Where there is a legacy, that is the last word: of an
// instance that still answers, the rest is shown beside it.
func assemble(all []control.Found, answers []answer, legacies map[string][]*dto.MetricFamily) ([]*dto.MetricFamily, error) {
	var m merger
	for _, name := range slices.Sorted(maps.Keys(legacies)) {
		m.add(legacies[name])
	}
	for i, f := range all {
		if answers[i].err != nil {
			f.Err = answers[i].err
		}
		shows, err := shown{f}.families()
		if err != nil {
			return nil, err
		}
		theirs := append(shows, labelled(answers[i].counted, f)...)
		if legacies[shortName(f.Instance)] != nil {
			theirs = slices.DeleteFunc(theirs, isCounted)
		}
		m.add(theirs)
	}
	return m.families(), nil
}

func askAll(ctx context.Context, all []control.Found) []answer {
	ctx, stop := context.WithTimeout(ctx, scrapePatience)
	defer stop()
	answers := make([]answer, len(all))
	var asking sync.WaitGroup
	for i, f := range all {
		if f.Err == nil {
			asking.Go(func() { answers[i] = askFor(ctx, f.Instance) })
		}
	}
	asking.Wait()
	return answers
}

func askFor(ctx context.Context, instance string) (a answer) {
	if a.counted, a.err = read(ctx, instance, "/metrics"); a.err == nil {
		a.kept, a.err = read(ctx, instance, "/legacies")
	}
	if errors.Is(a.err, errHasNone) {
		a.err = nil
	}
	return a
}

// errHasNone is said of another program that has overlap in it, but no metrics.
var errHasNone = errors.New("it has no metrics")

func read(ctx context.Context, instance, path string) ([]*dto.MetricFamily, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", string(wire))
	r.Header.Set("Accept-Encoding", "identity") // it does not leave the machine
	resp, err := control.Private(instance, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return decode(resp.Body)
	case http.StatusNotFound:
		return nil, errHasNone
	}
	return nil, fmt.Errorf("instance %s answered %s", instance, resp.Status)
}

// labelled says of all series whose they are. What says so already in another way is
// renamed, as Prometheus does it.
func labelled(families []*dto.MetricFamily, f control.Found) []*dto.MetricFamily {
	release, name := f.Release, shortName(f.Instance)
	for _, family := range families {
		for _, metric := range family.Metric {
			for _, l := range metric.Label {
				if n := l.GetName(); n == releaseLabel || n == instanceLabel {
					l.Name = new("exported_" + n)
				}
			}
			metric.Label = append(metric.Label,
				&dto.LabelPair{Name: new(releaseLabel), Value: &release}, &dto.LabelPair{Name: new(instanceLabel), Value: &name})
		}
	}
	return families
}

// byInstance takes families apart.
func byInstance(families []*dto.MetricFamily) map[string][]*dto.MetricFamily {
	apart := make(map[string]*merger)
	for _, f := range families {
		for _, metric := range f.Metric {
			name := instanceOf(metric)
			if apart[name] == nil {
				apart[name] = new(merger)
			}
			apart[name].addMetrics(f, metric)
		}
	}
	result := make(map[string][]*dto.MetricFamily, len(apart))
	for name, m := range apart {
		result[name] = m.families()
	}
	return result
}

func instanceOf(metric *dto.Metric) string {
	for _, l := range metric.Label {
		if l.GetName() == instanceLabel {
			return l.GetValue()
		}
	}
	return ""
}

// merger joins families of several instances. Two releases may have other words for the
// same, of which one is shown; where they do not count in the same way, the first does.
type merger struct{ byName map[string]*dto.MetricFamily }

func (m *merger) add(families []*dto.MetricFamily) {
	for _, f := range families {
		m.addMetrics(f, f.Metric...)
	}
}

func (m *merger) addMetrics(f *dto.MetricFamily, metrics ...*dto.Metric) {
	if m.byName == nil {
		m.byName = make(map[string]*dto.MetricFamily)
	}
	joined := m.byName[f.GetName()]
	if joined == nil {
		joined = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
		m.byName[f.GetName()] = joined
	}
	if joined.GetType() == f.GetType() {
		joined.Metric = append(joined.Metric, metrics...)
	}
}

func (m *merger) families() []*dto.MetricFamily {
	return slices.SortedFunc(maps.Values(m.byName), func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
}
