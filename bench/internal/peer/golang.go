package peer

import (
	"context"
	"net"
	"os"
	"os/exec"

	"github.com/ba995850/overlap/bench/internal/group"
)

// shutdown is a server in Go that leaves by http.Server.Shutdown, after which the next one is
// started: nobody listens meanwhile, unless somebody else holds the socket.
type shutdown struct {
	*Site
	activated bool     // somebody holds the socket
	socket    *os.File // that is held; nil: none yet
	now       *group.Program
}

func restarted(s *Site) Service { return &shutdown{Site: s} }

func activated(s *Site) Service { return &shutdown{Site: s, activated: true} }

func (s *shutdown) Replace(ctx context.Context, release string, leave func()) (err error) {
	if s.now != nil {
		leave()
		if err := tell(s.now, terminate); err != nil {
			return err
		}
		if err := await(ctx, s.now); err != nil {
			return err
		}
	}
	cmd := exec.Command(s.Plain, "-addr", s.Addr, "-release", release)
	if s.activated {
		if err := s.listen(); err != nil {
			return err
		}
		cmd.Args = append(cmd.Args, "-inherit")
		cmd.ExtraFiles = []*os.File{s.socket} // descriptor 3, as sd_listen_fds(3) says
	}
	s.now, err = s.run(cmd)
	return err
}

// listen opens the socket, as systemd does for a .socket unit, once.
func (s *shutdown) listen() error {
	if s.socket != nil {
		return nil
	}
	ln, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	defer ln.Close() // the file is another descriptor of it
	s.socket, err = ln.(*net.TCPListener).File()
	return err
}

func (s *shutdown) Stop() {
	stop(s.now)
	if s.socket != nil {
		s.socket.Close()
	}
}
