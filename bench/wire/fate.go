package wire

import (
	"math/rand/v2"
	"time"
)

// fate is what happens to one packet.
type fate struct {
	lost  bool
	delay time.Duration
	held  bool // held back: those behind it need not wait
}

// fates deals out the fates of one direction, packet by packet.
type fates struct {
	spec Spec
	dice *rand.Rand
}

// newFates returns the fates that follow from a seed. The stream tells the directions
// apart.
func newFates(spec Spec, seed, stream uint64) *fates {
	return &fates{spec, rand.New(rand.NewPCG(seed, stream))}
}

// next throws the dice as often for each packet, so that with the same seed more loss
// loses the same packets and some more.
func (f *fates) next() fate {
	loss, hold, jitter := f.dice.Float64(), f.dice.Float64(), f.dice.Float64()
	one := fate{
		lost:  loss < f.spec.Loss,
		held:  hold < f.spec.Reorder,
		delay: f.spec.RoundTrip/2 + time.Duration(jitter*float64(f.spec.Jitter)),
	}
	if one.held {
		one.delay += f.spec.RoundTrip / 8
	}
	return one
}
