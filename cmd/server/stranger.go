package main

import (
	"context"
	"slices"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// stateStranger is the state of one that listens in the group of an instance and is none.
const stateStranger = "stranger"

// findAll returns the instances, and behind them the strangers on their ports. While the
// instances are asked some come and some go, whose sockets nobody names by then: a stranger
// is one that is seen twice.
func findAll(ctx context.Context, timeout time.Duration) (all []control.Found, err error) {
	all, err = control.Find(ctx, timeout)
	before := strangersBeside(all)
	if err != nil || len(before) == 0 {
		return all, err
	}
	all, err = control.Find(ctx, timeout)
	strangers := slices.DeleteFunc(strangersBeside(all), func(s control.Found) bool {
		return !slices.ContainsFunc(before, func(b control.Found) bool { return same(s, b) })
	})
	return append(all, strangers...), err
}

// strangersBeside returns the strangers on the ports of the instances, once for each port.
func strangersBeside(all []control.Found) (strangers []control.Found) {
	addrs := make(map[uint64]string) // of the sockets that some instance sees beside its own
	sockets := make(map[int][]uint64)
	for _, f := range all {
		for _, p := range f.Ports {
			for _, socket := range p.Members {
				if addrs[socket] == "" && socket != 0 {
					addrs[socket] = p.Addr
					sockets[f.UID] = append(sockets[f.UID], socket)
				}
			}
		}
	}
	for uid, theirs := range sockets {
		for _, s := range control.Strangers(all, uid, theirs) {
			found := control.Found{Status: control.Status{
				State: stateStranger, PID: s.PID, UID: uid, Program: s.Program, Addr: addrs[s.Socket],
			}}
			if !slices.ContainsFunc(strangers, func(b control.Found) bool { return same(found, b) }) {
				strangers = append(strangers, found)
			}
		}
	}
	return strangers
}

func same(a, b control.Found) bool { return a.PID == b.PID && a.Addr == b.Addr && a.UID == b.UID }
