package cost

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// Plan is what is to be measured.
type Plan struct {
	Built   Built
	Rounds  int           // in which each has its turn
	Span    time.Duration // of a turn
	Clients int
	Idle    int // connections, for the memory of one
}

// Figures are what was measured.
type Figures struct {
	Absent []string // contenders that are not installed
	Loads  []Load
	Memory []Memory
	Both   []Holder // during an upgrade, and one alone
	Limits []Limit
}

// Load is one kind of load, and how each did under it.
type Load struct {
	Name   string
	Shares []Share
}

// Share is how one contender did: an entry for each round.
type Share struct {
	Name    string
	Base    bool
	Overlap bool
	Speeds  []float64 // answers a second
	CPUs    []float64 // microseconds of CPU for each
}

// Memory is what a contender takes, in bytes.
type Memory struct {
	Name string
	Rest int64 // without connections, after some load
	Conn float64
}

// Measure measures, and says on progress what it does.
func (p Plan) Measure(ctx context.Context, progress io.Writer) (f Figures, err error) {
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	for i := range contenders {
		c := &contenders[i]
		if _, err := exec.LookPath(c.program); c.program != "" && err != nil {
			f.Absent = append(f.Absent, fmt.Sprintf("%s: apt-get install %s", c.name, c.pkg))
			continue
		}
		s, err := c.start(ctx, p.Built)
		if err != nil {
			return f, err
		}
		servers = append(servers, s)
	}
	for _, load := range []struct {
		name string
		keep bool
	}{{"kept connections", true}, {"a connection for each request", false}} {
		l, err := p.load(ctx, servers, load.name, load.keep, progress)
		if err != nil {
			return f, err
		}
		f.Loads = append(f.Loads, l)
	}
	for _, s := range servers {
		fmt.Fprintf(progress, "%d idle connections to %s\n", p.Idle, s.name)
		m, err := p.memory(ctx, s)
		if err != nil {
			return f, err
		}
		f.Memory = append(f.Memory, m)
	}
	if f.Both, err = p.both(ctx, progress); err != nil {
		return f, err
	}
	if f.Limits, err = p.limits(ctx, progress); err != nil {
		return f, err
	}
	for _, l := range f.Loads {
		f.Limits = append(f.Limits, l.limits()...)
	}
	return f, nil
}

// load has each server take its turn, round after round.
func (p Plan) load(ctx context.Context, servers []*server, name string, keep bool, progress io.Writer) (Load, error) {
	l := Load{Name: name}
	for _, s := range servers {
		l.Shares = append(l.Shares, Share{Name: s.name, Base: s.base, Overlap: s.overlap})
	}
	for round := range p.Rounds + 1 { // the first is to warm up, and does not count
		fmt.Fprintf(progress, "%s, round %d of %d\n", name, round, p.Rounds)
		for i, s := range servers {
			speed, cpu, err := p.turn(ctx, s, keep)
			if err != nil {
				return l, fmt.Errorf("%s: %w", s.name, err)
			}
			if round > 0 {
				l.Shares[i].Speeds = append(l.Shares[i].Speeds, speed)
				l.Shares[i].CPUs = append(l.Shares[i].CPUs, cpu)
			}
		}
	}
	return l, nil
}

func (p Plan) turn(ctx context.Context, s *server, keep bool) (speed, cpu float64, err error) {
	spent, began := s.cpu(), time.Now()
	n, err := drive(ctx, s.addr, p.Clients, p.Span, keep)
	took := time.Since(began)
	switch {
	case err != nil:
		return 0, 0, err
	case ctx.Err() != nil:
		return 0, 0, ctx.Err()
	}
	return float64(n) / took.Seconds(), float64((s.cpu() - spent).Microseconds()) / float64(n), nil
}

// memory is measured after a load, which every server has seen sooner or later.
func (p Plan) memory(ctx context.Context, s *server) (m Memory, err error) {
	m = Memory{Name: s.name, Rest: s.memory()}
	_, closeAll, err := idle(ctx, s.addr, p.Idle)
	if err != nil {
		return m, fmt.Errorf("%s: %w", s.name, err)
	}
	defer closeAll()
	m.Conn = float64(s.memory()-m.Rest) / float64(p.Idle)
	return m, nil
}
