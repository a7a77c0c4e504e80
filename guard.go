package overlap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// ErrStranger is returned when somebody listens on the address who would share its
// connections without being an instance: a process of the same user that has set
// SO_REUSEPORT, as test servers and other frameworks do, and no endpoint that names its
// sockets. What the kernel gives to it we cannot answer, and a retirement would take it for
// a successor.
var ErrStranger = errors.New("a stranger listens on the port")

const (
	// guardTimeout is how long the others on a port may take to say who they are. One that
	// takes longer is known by its process.
	guardTimeout = 500 * time.Millisecond
	// strangerTime is how long somebody has to be a stranger to be one, and strangerLook how
	// often we look.
	strangerTime = 2 * time.Second
	strangerLook = 50 * time.Millisecond
)

// guard returns ErrStranger where a port must not be shared. It is asked before we listen:
// a stranger would lose connections from that moment on, or take them. Who has come
// meanwhile has looked for himself.
//
// Where nobody can have an endpoint, in a sandbox or because there is no Linux, nobody can
// be told from a stranger, and all are let in.
func (l *life) guard(addr string, group func() []uint64) error {
	others := without(group(), listen.Sockets())
	noEndpoints := l.endpoint == nil && !l.opts.NoEndpoint
	if len(others) == 0 || noEndpoints {
		return nil
	}
	found, err := control.Find(context.Background(), guardTimeout)
	if err != nil {
		return nil
	}
	l.noteSameRelease(found, addr, others)
	if l.opts.AllowStrangers {
		return nil
	}
	if s := lastingStranger(found, others, group); s != nil {
		return fmt.Errorf("%w: %v, of which no control endpoint knows. It would share the connections, and not be an instance. "+
			"Stop it, give this another port, or allow it: Options.AllowStrangers, --allow-strangers", ErrStranger, s.Process)
	}
	return nil
}

// lastingStranger returns one of the others that is a stranger each time we look, or nil.
// Once is not enough: a process may have more than one instance, of which one has the
// endpoint for all, and listen before that opens or for a moment after it has closed. And
// who is about to leave is no stranger to us.
func lastingStranger(found []control.Found, others []uint64, group func() []uint64) *control.Stranger {
	for until := time.Now().Add(strangerTime); ; {
		strangers := strangersIn(group(), control.Strangers(found, os.Geteuid(), others))
		switch {
		case len(strangers) == 0:
			return nil
		case time.Now().After(until):
			return &strangers[0]
		}
		others = nil
		for _, s := range strangers {
			others = append(others, s.Socket)
		}
		time.Sleep(strangerLook)
		var err error
		if found, err = control.Find(context.Background(), guardTimeout); err != nil {
			return nil
		}
	}
}

func strangersIn(group []uint64, strangers []control.Stranger) []control.Stranger {
	return slices.DeleteFunc(strangers, func(s control.Stranger) bool { return !slices.Contains(group, s.Socket) })
}

// noteSameRelease says aloud that two instances of one release are going to share a port:
// that may be meant, or somebody has forgotten to stop the first. Our parent means it: it has
// started its own successor.
func (l *life) noteSameRelease(found []control.Found, addr string, others []uint64) {
	for _, f := range found {
		theirs := without(others, f.Sockets)
		if f.Release != "" && f.Release == l.opts.Release && f.State != StateRetiring.String() && f.PID != os.Getppid() && len(theirs) < len(others) {
			l.notice("release %s listens on %s already, as process %d: two instances of one release share the port", f.Release, addr, f.PID)
		}
	}
}

func without(all, some []uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(all), func(n uint64) bool { return slices.Contains(some, n) })
}
