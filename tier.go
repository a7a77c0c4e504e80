package overlap

import (
	"fmt"

	"github.com/ba995850/overlap/internal/listen"
)

// Tier is what a host offers a retirement.
type Tier struct {
	// Lossless means that the kernel steers new connections away from a member
	// that leaves and shows what it still holds for it: Linux 6.2 or later, and
	// stable 6.1, with /proc. Otherwise a retirement is a best effort: what
	// arrives between the last accept and the close is lost.
	Lossless bool
	// Why says why it is not.
	Why string
}

// String returns "lossless" or "best-effort".
func (t Tier) String() string {
	if t.Lossless {
		return "lossless"
	}
	return "best-effort"
}

// MarshalText writes the tier as String does.
func (t Tier) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote; the reason is not in it.
func (t *Tier) UnmarshalText(text []byte) error {
	switch string(text) {
	case "lossless":
		*t = Tier{Lossless: true}
	case "best-effort":
		*t = Tier{}
	default:
		return fmt.Errorf("overlap: tier %q is neither lossless nor best-effort", text)
	}
	return nil
}

// tierOf is the lowest tier of several listeners.
func tierOf(lns []*listen.Listener) Tier {
	for _, ln := range lns {
		if t := ln.Tier(); !t.Lossless {
			return Tier(t)
		}
	}
	return Tier{Lossless: true}
}
