package overlap

import (
	"cmp"
	"context"
	"net/http"
	"time"
)

// The defaults of Options. LingerTimeout is longer than the idle pools of the
// usual clients: undici keeps a connection for 4 s, HAProxy for 5 s.
const (
	DefaultSettleTimeout = 8 * time.Second
	DefaultLingerTimeout = 10 * time.Second
	DefaultFinishTimeout = 5 * time.Second
	DefaultDrainTimeout  = 30 * time.Second
)

// Options say how an instance lives and leaves. The zero value works. A timeout that
// is negative has passed from the beginning.
//
// The hooks are called one at a time, in the order of the events, and must not
// block: the life of the instance waits for them.
type Options struct {
	// Release names the version of the service, in the verdict. It may be empty.
	Release string

	// DrainTimeout bounds the whole retirement: what is left after it is cut and
	// counted. 0 means DefaultDrainTimeout.
	DrainTimeout time.Duration

	// SettleTimeout bounds the wait for handshakes that were begun with us. The
	// kernel gives up on a vanished client 7 s after it began. 0 means
	// DefaultSettleTimeout.
	SettleTimeout time.Duration

	// LingerTimeout is how long a connection may stay new or idle, once the
	// instance retires, before we close it. It should be longer than the think
	// time of the slowest keep-alive client plus a round trip: a request that
	// crosses the close is lost (and counted as late). 0 means
	// DefaultLingerTimeout.
	LingerTimeout time.Duration

	// FinishTimeout is the part of DrainTimeout that is kept for
	// http.Server.Shutdown, the last step. 0 means DefaultFinishTimeout, or half of
	// DrainTimeout if that is less.
	FinishTimeout time.Duration

	// AllowMismatch lets the instance listen beside a listener of the same port
	// that it would take connections from, or lose them to, instead of sharing:
	// another address family, an overlapping address. See ErrMismatch.
	AllowMismatch bool

	// Dark makes the instance stay out of the rotation when it is ready: it listens, and
	// gets nothing as long as another instance is in rotation, until [Instance.Pin]. Where
	// none is, the kernel hands it connections all the same. On a host that cannot steer,
	// Serve returns an error.
	Dark bool

	// AllowStrangers lets the instance share its port with listeners that are no
	// instances, or have no endpoint. See ErrStranger.
	AllowStrangers bool

	// Plain leaves out steering, settling and lingering: the instance closes its
	// listeners and calls http.Server.Shutdown, as everybody does. It loses
	// requests. It is there so that a client can show that it sees loss.
	Plain bool

	// NoEndpoint leaves out the control endpoint, an abstract unix socket by which the
	// same user and root see what the instance does, and tell it to retire: as "server
	// status" and "server retire" do, for every program that has overlap in it. By it
	// instances also tell each other from strangers: one without is a stranger to the next,
	// which needs AllowStrangers.
	NoEndpoint bool

	// Private answers at the control endpoint what the endpoint itself does not, to the
	// same user and root only: metrics, pprof. Its paths must not begin with /v1/, and it
	// has 5 s for an answer, or sets a deadline of its own (http.ResponseController).
	Private http.Handler

	// OnState is called after each change of state.
	OnState func(from, to State)

	// OnPhase is called when a retirement enters a phase.
	OnPhase func(Phase)

	// OnNotice is called with what an operator should read: that this host
	// offers no lossless retirement, that a retirement waits for a successor.
	OnNotice func(string)

	// OnVerdict is called once, when the instance that has listened has ended, just
	// before it is drained.
	OnVerdict func(Verdict)
}

func (o Options) withDefaults() Options {
	o.DrainTimeout = cmp.Or(o.DrainTimeout, DefaultDrainTimeout)
	o.SettleTimeout = cmp.Or(o.SettleTimeout, DefaultSettleTimeout)
	o.LingerTimeout = cmp.Or(o.LingerTimeout, DefaultLingerTimeout)
	o.FinishTimeout = cmp.Or(o.FinishTimeout, min(DefaultFinishTimeout, o.DrainTimeout/2))
	return o
}

// within returns options whose DrainTimeout ends no later than ctx. FinishTimeout is
// then kept of what is left: a default must not take all of it.
func (o Options) within(ctx context.Context) Options {
	until, bounded := ctx.Deadline()
	if left := time.Until(until); bounded && left < o.withDefaults().DrainTimeout {
		o.DrainTimeout = left
	}
	return o.withDefaults()
}
