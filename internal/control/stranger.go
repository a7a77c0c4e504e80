package control

import (
	"slices"

	"github.com/ba995850/overlap/internal/holder"
)

// Stranger is a listening socket that no instance names as its own, and the process that
// holds it, as far as it can be seen.
type Stranger struct {
	Socket uint64
	holder.Process
}

// Strangers returns those of the sockets, all of them of this user, that no instance of the
// user's has. Who is in doubt is no stranger: one whose process has an endpoint, for that
// may be of an instance that is stopped; and one whose process cannot be seen, where an
// endpoint does not answer and nobody can say whose it is. A process that is seen is not
// in doubt for that: such an endpoint may be anybody's, who wants nobody to be a stranger.
func Strangers(found []Found, uid int, sockets []uint64) (strangers []Stranger) {
	named := make(map[uint64]bool)
	pids := make(map[int]bool)
	for _, f := range found {
		if f.Err != nil && f.PID == 0 {
			pids[0] = true // of who cannot be seen
		}
		if f.UID != uid {
			continue
		}
		for _, socket := range f.Sockets {
			named[socket] = true
		}
		if f.Here {
			pids[f.PID] = true
		}
	}
	left := slices.DeleteFunc(slices.Clone(sockets), func(s uint64) bool { return named[s] })
	holders := holder.Of(left...)
	for _, socket := range left {
		if who := holders[socket]; !pids[who.PID] {
			strangers = append(strangers, Stranger{socket, who})
		}
	}
	return strangers
}
