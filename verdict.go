package overlap

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// ErrCut is returned when the deadline passed, or the operator lost patience, and
// connections were cut, or responses that their clients had not got whole. The
// verdict says how many.
var ErrCut = errors.New("overlap: connections were cut")

// Verdict is what a retirement did, in numbers.
type Verdict struct {
	Release   string `json:"release,omitempty"`
	Lossless  bool   `json:"lossless"`         // every count that means a loss is 0, and the counts tell everything
	Retired   bool   `json:"retired"`          // false: the user's own Shutdown or Close ended it, or it was plain
	Successor bool   `json:"successor"`        // somebody else held the port when we left it
	Tier      Tier   `json:"tier"`             // what the kernel offered
	Reason    string `json:"reason,omitempty"` // why it is not lossless, or why there was no successor

	Requests       int64 `json:"requests"`       // requests answered in the instance's whole life
	Abandoned      int   `json:"abandoned"`      // connections that the kernel still held for us when we closed: a loss
	Expired        int   `json:"expired"`        // half-open handshakes whose client never came back: no loss
	Late           int   `json:"late"`           // requests that crossed our close of an idle connection: a loss
	Cut            int   `json:"cut"`            // connections that were busy at the deadline: a loss
	Unacknowledged int64 `json:"unacknowledged"` // response bytes that the peer had not acknowledged at the deadline: a loss

	Phases map[Phase]time.Duration `json:"phases"` // how long each phase took, in nanoseconds in JSON; absent: it was skipped

	doubts []string // why the counts do not tell everything
}

// LogValue makes a verdict one flat group of attributes in slog.
func (v Verdict) LogValue() slog.Value {
	var took []any
	for _, p := range Phases() {
		if d, ok := v.Phases[p]; ok {
			took = append(took, slog.Float64(string(p), d.Seconds()))
		}
	}
	attrs := []slog.Attr{
		slog.Bool("lossless", v.Lossless),
		slog.Bool("retired", v.Retired),
		slog.Bool("successor", v.Successor),
		slog.String("tier", v.Tier.String()),
		slog.Int64("requests", v.Requests),
		slog.Int("abandoned", v.Abandoned),
		slog.Int("expired", v.Expired),
		slog.Int("late", v.Late),
		slog.Int("cut", v.Cut),
		slog.Int64("unacknowledged", v.Unacknowledged),
		slog.Group("phases", took...),
	}
	if v.Reason != "" {
		attrs = append(attrs, slog.String("reason", v.Reason))
	}
	return slog.GroupValue(attrs...)
}

// judge says whether the retirement was lossless, and why it was not.
func (v *Verdict) judge() {
	var losses []string
	for _, l := range []struct {
		n    int64
		what string
	}{
		{int64(v.Abandoned), "connections that the kernel still held when the listener closed"},
		{int64(v.Late), "requests that crossed the close of an idle connection"},
		{int64(v.Cut), "connections that were busy when they were cut"},
		{v.Unacknowledged, "bytes of responses that were not acknowledged in time"},
	} {
		if l.n > 0 {
			losses = append(losses, fmt.Sprintf("%s: %d", l.what, l.n))
		}
	}
	losses = append(losses, v.doubts...)
	if !v.Tier.Lossless && v.Tier.Why != "" {
		losses = append(losses, v.Tier.Why)
	}
	if v.Reason != "" {
		losses = append(losses, v.Reason)
	}
	v.Lossless = v.Retired && v.Tier.Lossless && len(v.doubts) == 0 &&
		v.Abandoned+v.Late+v.Cut == 0 && v.Unacknowledged == 0
	v.Reason = strings.Join(losses, "; ")
}

// doubt notes that the counts do not tell everything, and why.
func (v *Verdict) doubt(why string) { v.doubts = append(v.doubts, why) }
