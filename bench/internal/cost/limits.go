package cost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// Limit is a figure of ours beside what the kernel alone takes for it, round by round.
type Limit struct {
	Name, Of        string
	Unit            string
	Figures, Limits []float64
}

// limits has the reference service upgraded, without connections, and asks the kernel in between
// what it takes for the two things of which steering consists.
func (p Plan) limits(ctx context.Context, progress io.Writer) ([]Limit, error) {
	const steered = "from SIGTERM to steered"
	barrier := Limit{Name: steered, Of: "a membarrier", Unit: "ms"}
	handshake := Limit{Name: steered, Of: "a handshake", Unit: "ms"}
	u := upgrades{built: p.Built}
	defer u.stop()
	if err := u.begin(ctx); err != nil {
		return nil, err
	}
	for round := range p.Rounds {
		fmt.Fprintf(progress, "upgrade %d of %d\n", round+1, p.Rounds)
		took, err := u.steered(ctx)
		if err != nil {
			return nil, err
		}
		barrierTook, err := timed(membarrier)
		if err != nil {
			return nil, err
		}
		handshakeTook, err := handshakes(100)
		if err != nil {
			return nil, err
		}
		barrier.add(took, barrierTook)
		handshake.add(took, quartiles(handshakeTook)[1])
	}
	return []Limit{barrier, handshake}, nil
}

func (l *Limit) add(figure, limit float64) {
	l.Figures, l.Limits = append(l.Figures, figure), append(l.Limits, limit)
}

// timed returns milliseconds.
func timed(do func() error) (float64, error) {
	began := time.Now()
	err := do()
	return ms(time.Since(began)), err
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// limits compares what has overlap with the bare kernel, in the same rounds.
func (l Load) limits() (limits []Limit) {
	i := slices.IndexFunc(l.Shares, func(s Share) bool { return s.Name == bare })
	for _, s := range l.Shares {
		if s.Overlap {
			limits = append(limits, Limit{Name: s.Name + ", " + l.Name, Of: bare, Unit: "answers/s", Figures: s.Speeds, Limits: l.Shares[i].Speeds})
		}
	}
	return limits
}

// upgrades are upgrades of the reference service on one port, one after the other.
type upgrades struct {
	built   Built
	current *server
}

func (u *upgrades) begin(ctx context.Context) (err error) {
	first := reference(releases[0])
	u.current, err = first.start(ctx, u.built)
	return err
}

func (u *upgrades) stop() {
	if u.current != nil {
		u.current.stop()
	}
}

// steered upgrades once more, and returns how long it took until new connections went to the
// next release, in milliseconds.
func (u *upgrades) steered(ctx context.Context) (float64, error) {
	c := reference(releases[0])
	if u.current.release == releases[0] {
		c = reference(releases[1])
	}
	next, err := c.startAt(ctx, u.built, u.current.addr)
	if err != nil {
		return 0, err
	}
	before := u.current
	u.current = next
	defer before.stop()
	if err := before.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-before.Exited:
		log, err := os.ReadFile(before.Log)
		if err != nil {
			return 0, err
		}
		return steeredIn(log)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// steeredIn finds the verdict in the log of a release.
func steeredIn(log []byte) (float64, error) {
	for line := range bytes.Lines(log) {
		var v struct {
			Msg      string
			Lossless bool
			Phases   struct{ Steer float64 }
		}
		if json.Unmarshal(line, &v) == nil && v.Msg == "verdict" && v.Lossless && v.Phases.Steer > 0 {
			return v.Phases.Steer * 1000, nil
		}
	}
	return 0, errors.New("it left without a verdict, or not without a loss:\n" + string(log))
}
