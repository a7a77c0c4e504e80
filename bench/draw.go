package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// episode is one run of a soak, as chance would have it: the flags of a run, and the
// misfortunes around its upgrades.
type episode struct {
	number int
	flags  []string
	plan   plan
}

// String says what was drawn.
func (e episode) String() string { return strings.Join(e.flags, " ") + "; " + e.plan.String() }

// soakTimeout is so long that a busy machine is no loss.
const soakTimeout = 30 * time.Second

// draw returns the episode with this number. It depends on nothing else than the seed.
func draw(seed uint64, number int) episode {
	d := dice{rand.New(newDice(seed, uint64(number)))}
	flags := d.drawSpeech()
	flags = append(flags, d.drawLoads(flags)...)
	upgrades := 1 + d.IntN(4)
	flags = append(flags, fmt.Sprintf("--upgrades=%d", upgrades), "--rest="+d.between(100*time.Millisecond, time.Second).String())
	if d.coin() {
		flags = append(flags, "--overlap-next")
	}
	flags = append(flags, "--linger-timeout="+d.drawLinger(flags).String(), "--timeout="+soakTimeout.String(), fmt.Sprintf("--seed=%d", d.Uint32()))
	return episode{number, flags, d.drawPlan(upgrades)}
}

// config is what the flags of the episode mean, and over them those that are given.
func (e episode) config(over ...string) (config, error) {
	c, r, err := read(e.flags, over)
	if err == nil {
		err = c.finish(r)
	}
	if err != nil {
		return c, fmt.Errorf("episode %d, %v: %w", e.number, e, err)
	}
	return c, nil
}

type dice struct{ *rand.Rand }

func (d dice) coin() bool { return d.IntN(2) == 0 }

// between returns a time in steps of a millisecond, which is as exact as a line needs.
func (d dice) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64((most-least)/time.Millisecond)+1))*time.Millisecond
}

// drawSpeech decides what the servers speak, and where.
func (d dice) drawSpeech() (flags []string) {
	if d.IntN(4) == 0 {
		flags = append(flags, "--ipv6")
	}
	switch d.IntN(3) {
	case 0:
		flags = append(flags, "--tls")
		if d.coin() {
			flags = append(flags, "--ticket-keys=false")
		}
	case 1:
		flags = append(flags, "--h2c")
	}
	return flags
}

// drawLoads picks loads that are understood, clients, and a pace or none.
func (d dice) drawLoads(speech []string) []string {
	tls, h2c := slices.Contains(speech, "--tls"), slices.Contains(speech, "--h2c")
	var able []kind
	for _, k := range kinds {
		if k.understood(tls, h2c) && k.think <= longestThink {
			able = append(able, k)
		}
	}
	d.Shuffle(len(able), func(i, j int) { able[i], able[j] = able[j], able[i] })
	picked := able[:1+d.IntN(4)]
	most := 32
	for _, k := range picked {
		if k.heavy() {
			most = 4
		}
	}
	pace := 0
	if d.coin() {
		pace = 400 + d.IntN(1600)
	}
	return []string{"--load=" + namesOf(picked), fmt.Sprintf("--clients=%d", 1+d.IntN(most)), fmt.Sprintf("--pace=%d", pace)}
}

// longestThink leaves out clients that would make each episode last long.
const longestThink = time.Second

// understood says whether a service that speaks so can answer this kind.
func (k kind) understood(tls, h2c bool) bool {
	return (tls || !k.needs.tls) && (tls || h2c || !k.needs.http2)
}

// heavy says whether a few clients of the kind keep a machine busy.
func (k kind) heavy() bool { return k.streams > 1 || strings.HasPrefix(k.name, "download") }

// drawLinger is longer than a connection may be idle in the worst case: the client has
// thought, and then the server did not read for a while. A busy machine has half a second more.
func (d dice) drawLinger(flags []string) time.Duration {
	c, r, err := read(flags, nil)
	if err == nil {
		err = c.complete(r)
	}
	if err != nil {
		panic(err) // a draw that says nonsense
	}
	least := longestIdle(c) + longestHold + 500*time.Millisecond
	return d.between(least, least+2*time.Second).Round(time.Millisecond)
}

// drawPlan decides on misfortunes: for every other upgrade, one of those that there are.
func (d dice) drawPlan(upgrades int) (p plan) {
	p.crash = d.IntN(4) == 0
	for range upgrades {
		t := trouble{delay: d.between(0, longestDelay), hold: d.between(0, longestHold)}
		if m := &misfortunes[d.IntN(len(misfortunes))]; d.coin() {
			t.misfortune = m
		}
		p.troubles = append(p.troubles, t)
	}
	return p
}
