// Package control is how the instances of a host are seen and told what to do: one private
// endpoint for each, HTTP and JSON over an abstract unix socket, and a client that finds
// them all.
//
// An endpoint is reached from the network namespace that it was opened in, and by nobody
// but root and the user who opened it: both sides look at SO_PEERCRED before a byte is
// exchanged. It has no file that could be left behind; the kernel drops the name with the
// process. It is never a TCP port that releases share: who answers there is up to the
// kernel.
//
// It knows nothing of listening sockets and connections: what an instance is, it is told
// by its Instance.
package control

import (
	"errors"
	"time"
)

// version is that of the names and of the paths. Another one is another language.
const version = "v1"

// Status is what an instance says of itself. All lengths of time are in seconds.
type Status struct {
	Instance    string      `json:"instance"` // names it in its network namespace, for as long as it lives
	Release     string      `json:"release"`
	PID         int         `json:"pid"` // as its caller sees it: in containers each has its own numbers
	UID         int         `json:"uid"`
	Program     string      `json:"program"`
	Started     time.Time   `json:"started,omitzero"`
	State       string      `json:"state"`
	Phase       string      `json:"phase,omitempty"`
	Deadline    time.Time   `json:"deadline,omitzero"` // when what is left is cut, if it retires
	Addr        string      `json:"addr"`              // of all ports, with commas between
	Ports       []Port      `json:"ports"`
	Tier        string      `json:"tier"`
	Why         string      `json:"why,omitempty"` // it is not lossless
	Connections Connections `json:"connections"`
	Requests    int64       `json:"requests"`         // answered so far
	Oldest      float64     `json:"oldest,omitempty"` // age of the oldest request that is being answered
	Sockets     []uint64    `json:"sockets"`          // that its process listens on, by inode: all of them
}

// Port is one address that an instance listens on.
type Port struct {
	Addr     string   `json:"addr"`
	TLS      bool     `json:"tls"`      // as far as the instance knows what is spoken
	Pinned   bool     `json:"pinned"`   // it is in the rotation, where there is another instance
	Accepted int      `json:"accepted"` // connections so far
	HalfOpen int      `json:"half_open"`
	Queued   int      `json:"queued"`  // connections that wait to be accepted
	Others   int      `json:"others"`  // sockets of others on this port
	Members  []uint64 `json:"members"` // those, by inode
}

// Connections are how many there are of each kind.
type Connections struct {
	Fresh    int `json:"fresh"`
	Active   int `json:"active"`
	Idle     int `json:"idle"`
	Hijacked int `json:"hijacked"`
	Closing  int `json:"closing"`
}

// Instance is what stands behind an endpoint.
type Instance interface {
	Status() Status
	Retire()
	HandOver()
	TakeBack()
	Pin() error
	Unpin() error
	Knock() error
}

// ErrUnsupported means that this system has no abstract sockets, or no SO_PEERCRED.
var ErrUnsupported = errors.New("control endpoints need Linux")
