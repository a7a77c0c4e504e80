package listen

// Fact is what a look at the system has found, or why it could not look.
type Fact[T any] struct {
	Value T
	Err   error
}

func fact[T any](value T, err error) Fact[T] { return Fact[T]{value, err} }

// Host is what of the kernel, and of the sandbox around this process, decides what a
// retirement can be. Nothing is changed by looking.
type Host struct {
	Tier   Tier // of the self-test
	Kernel Fact[Kernel]

	Seccomp Fact[int] // 0: no filter
	Barrier error     // why the kernel cannot be asked for a grace period
	Diag    error     // why sock_diag cannot be asked

	Migrate   Fact[bool] // net.ipv4.tcp_migrate_req
	MPTCP     Fact[bool] // net.mptcp.enabled
	Somaxconn Fact[int]  // net.core.somaxconn, which Go takes for the backlog

	LocalPorts Fact[Range]   // net.ipv4.ip_local_port_range
	Reserved   Fact[[]Range] // net.ipv4.ip_local_reserved_ports

	Files           Fact[int] // how many descriptors Go lets itself have here
	Online, Allowed Fact[[]int]
}

// Kernel is how the kernel names itself.
type Kernel struct {
	Release   string // "6.1.0-39-amd64"
	Build     string // "#1 SMP PREEMPT_DYNAMIC Debian 6.1.148-1 (2025-08-26)"
	Signature string // what Ubuntu adds: "Ubuntu 6.8.0-45.45-generic 6.8.12"
}

// Range is a range of ports, both ends included.
type Range struct{ First, Last int }

// Has says whether a port is in the range.
func (r Range) Has(port int) bool { return r.First <= port && port <= r.Last }

// Place is an address as this process would listen on it, and who listens there now.
type Place struct {
	Addr string
	Port int

	// Bind is what bind(2) said to a socket that never listened: a running service
	// does not notice. Where the port is held it names the holder.
	Bind error
	// Mismatch is ErrMismatch where a listener of our user overlaps instead of sharing.
	Mismatch error
	Members  []Member
}

// Member is a listening socket that takes connections for a place, or for part of it.
type Member struct {
	Socket  uint64 // its inode
	Addr    string
	Shares  bool // it is on exactly the same address
	Ours    bool // it is of our user
	User    string
	PID     int // 0: its process cannot be seen from here
	Program string

	Queued  int
	Backlog Fact[int] // how many may be queued
	MPTCP   Fact[bool]
}
