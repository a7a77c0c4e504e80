package control

import "testing"

// Broken on purpose, and seen red: ports are not looked at, or only the first; users are
// not looked at.
func TestInstancesOfOneUserSharePorts(t *testing.T) {
	at := func(uid int, addrs ...string) Found {
		f := Found{Status: Status{UID: uid}}
		for _, addr := range addrs {
			f.Ports = append(f.Ports, Port{Addr: addr})
		}
		return f
	}
	one := at(1, ":80", ":443")
	for name, test := range map[string]struct {
		other  Found
		shares bool
	}{
		"the same ports":          {at(1, ":80", ":443"), true},
		"one of several":          {at(1, ":8080", ":443"), true},
		"none":                    {at(1, ":8080"), false},
		"no ports at all":         {at(1), false},
		"those of another user":   {at(2, ":80"), false},
		"other hosts of one port": {at(1, "127.0.0.1:80"), false},
	} {
		if one.SharesPort(test.other) != test.shares || test.other.SharesPort(one) != test.shares {
			t.Errorf("%s: shared is %v", name, !test.shares)
		}
	}
}
