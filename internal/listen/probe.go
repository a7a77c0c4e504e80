package listen

import "net/netip"

// probeSource is where the connections come from by which a retiring member asks
// whether somebody else accepts. Any address of 127/8 is the host's own, so no
// packet from outside can carry it, and nobody else would choose it.
var probeSource = netip.AddrFrom4([4]byte{127, 79, 86, 69})
