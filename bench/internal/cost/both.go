package cost

import (
	"context"
	"fmt"
	"io"
)

// Holder is a process that holds idle connections.
type Holder struct {
	Name    string
	Conns   int
	Private int64 // its memory, in bytes
}

// both measures the reference service alone with all idle connections, and then two releases of
// it that share them: the one that is to leave, and the next.
func (p Plan) both(ctx context.Context, progress io.Writer) (holders []Holder, err error) {
	for _, names := range []map[string]string{
		{"v1": "alone"},
		{"v1": "of two: the one before", "v2": "of two: the next"},
	} {
		fmt.Fprintf(progress, "%d idle connections, %d of the reference service\n", p.Idle, len(names))
		hs, err := p.share(ctx, names)
		if err != nil {
			return nil, err
		}
		holders = append(holders, hs...)
	}
	return holders, nil
}

// share opens idle connections to some releases in the rotation of one port.
func (p Plan) share(ctx context.Context, names map[string]string) (holders []Holder, err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	servers := make([]*server, len(names))
	for i := range servers {
		c := reference(releases[i])
		if servers[i], err = c.startAt(ctx, p.Built, addr); err != nil {
			return nil, err
		}
		defer servers[i].stop()
	}
	held, closeAll, err := idle(ctx, addr, p.Idle)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	for _, s := range servers {
		h, err := s.holder(names[s.release], held)
		if err != nil {
			return nil, err
		}
		holders = append(holders, h)
	}
	return holders, nil
}

// holder is the server with the connections that it holds: without any it shows nothing.
func (s *server) holder(name string, held map[string]int) (Holder, error) {
	if held[s.release] == 0 {
		return Holder{}, fmt.Errorf("%s is in the rotation, and all idle connections went elsewhere: %v", s.release, held)
	}
	return Holder{Name: name, Conns: held[s.release], Private: s.memory()}, nil
}
