//go:build !linux

package control

import "net"

func listen(string) (net.Listener, error)   { return nil, ErrUnsupported }
func peerOf(net.Conn) (who peer, err error) { return peer{}, ErrUnsupported }

func (peer) isFriend() bool  { return false }
func (peer) isTrusted() bool { return false }

// names: there are none.
func names() ([]string, error) { return nil, ErrUnsupported }
