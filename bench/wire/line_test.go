package wire

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Broken on purpose, and seen red:
//   - the dice are thrown for what the spec asks for only: TestMoreLossLosesTheSameAndMore
//   - both directions have one stream of chance: TestTheSameSeedGivesTheSameFates
//   - leave returns packets that are not due; a new first packet wakes nobody:
//     TestAPacketTakesHalfTheRoundTrip
//   - jitter lets packets overtake: TestJitterKeepsTheOrder
//   - a held packet holds up those behind it: TestHeldPacketsAreOvertakenAndCounted

const ms = time.Millisecond

func deal(spec Spec, seed, stream uint64, n int) (all []fate) {
	f := newFates(spec, seed, stream)
	for range n {
		all = append(all, f.next())
	}
	return all
}

func TestTheSameSeedGivesTheSameFates(t *testing.T) {
	spec := Spec{80 * ms, 0.1, 5 * ms, 0.1}
	first := deal(spec, 7, 1, 1000)
	if !slices.Equal(first, deal(spec, 7, 1, 1000)) {
		t.Error("the same seed gave other fates")
	}
	if slices.Equal(first, deal(spec, 8, 1, 1000)) {
		t.Error("another seed gave the same fates")
	}
	there, back := newLines(spec, 7)
	if slices.Equal(throw(there, 1000), throw(back, 1000)) {
		t.Error("both directions have the same fates")
	}
}

func throw(l *line, n int) (all []fate) {
	for range n {
		all = append(all, l.fates.next())
	}
	return all
}

func TestMoreLossLosesTheSameAndMore(t *testing.T) {
	little := deal(Spec{RoundTrip: 80 * ms, Loss: 0.01}, 1, 1, 100_000)
	much := deal(Spec{80 * ms, 0.05, ms, 0.01}, 1, 1, 100_000)
	for i := range little {
		if little[i].lost && !much[i].lost {
			t.Fatalf("packet %d is lost of 1%%, and not of 5%%", i+1)
		}
	}
}

func TestTheSharesAreThoseOfTheSpec(t *testing.T) {
	const n = 100_000
	spec := Spec{300 * ms, 0.05, 10 * ms, 0.02}
	lost, held, jitter := 0, 0, time.Duration(0)
	for _, f := range deal(spec, 1, 1, n) {
		switch {
		case f.lost:
			lost++
		case f.held:
			held++
		default:
			jitter += f.delay - 150*ms
		}
	}
	if share := float64(lost) / n; share < 0.048 || share > 0.052 {
		t.Errorf("%.4f of the packets are lost, should be 0.05", share)
	}
	if share := float64(held) / float64(n-lost); share < 0.019 || share > 0.021 {
		t.Errorf("%.4f of the packets are held back, should be 0.02", share)
	}
	if mean := jitter / time.Duration(n-lost-held); mean < 4900*time.Microsecond || mean > 5100*time.Microsecond {
		t.Errorf("packets are late by %v, should be 5ms", mean)
	}
}

// arrival is a packet that came out, and when.
type arrival struct {
	number int
	at     time.Duration
}

// far is the far end of a line, which notes what arrives.
type far struct {
	began    time.Time
	arrivals []arrival
}

func (f *far) Write(p []byte) (int, error) {
	f.arrivals = append(f.arrivals, arrival{int(binary.BigEndian.Uint64(p)), time.Since(f.began)})
	return len(p), nil
}

// send sends n packets over a line, a pause apart, and returns what arrived. They are
// numbered from 1 on.
func send(t *testing.T, spec Spec, n int, pause time.Duration) (all []arrival, counts Counts) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		line, _ := newLines(spec, 1)
		end := &far{began: time.Now()}
		go line.carry(ctx, end)
		for i := range n {
			synctest.Wait() // so that the line has seen all before, and waits for what it believes is next
			line.enter(binary.BigEndian.AppendUint64(nil, uint64(i+1)), time.Now())
			time.Sleep(pause) // in the bubble's time
		}
		time.Sleep(longest)
		synctest.Wait()
		cancel()
		synctest.Wait()
		all = end.arrivals
		counts, _ = line.seen()
	})
	return all, counts
}

func TestAPacketTakesHalfTheRoundTrip(t *testing.T) {
	all, counts := send(t, Spec{RoundTrip: 80 * ms}, 10, 15*ms)
	for i, a := range all {
		if want := (arrival{i + 1, time.Duration(i)*15*ms + 40*ms}); a != want {
			t.Errorf("packet %d arrived at %v, should be packet %d at %v", a.number, a.at, want.number, want.at)
		}
	}
	if want := (Counts{Packets: 10}); counts != want || len(all) != 10 {
		t.Errorf("%d packets arrived, the counts are %+v, should be %+v", len(all), counts, want)
	}
}

func TestWhatIsNotDroppedArrives(t *testing.T) {
	all, counts := send(t, Spec{RoundTrip: 80 * ms, Loss: 0.3}, 1000, ms)
	if len(all)+counts.Dropped != 1000 || counts.Dropped < 200 || counts.Dropped > 400 {
		t.Errorf("of 1000 packets %d arrived and %d were dropped", len(all), counts.Dropped)
	}
}

func TestJitterKeepsTheOrder(t *testing.T) {
	all, counts := send(t, Spec{RoundTrip: 80 * ms, Jitter: 20 * ms}, 1000, ms)
	inOrder := slices.IsSortedFunc(all, func(a, b arrival) int { return a.number - b.number })
	if !inOrder || len(all) != 1000 || counts.Reordered != 0 {
		t.Errorf("%d packets arrived, in order: %v, %d reordered", len(all), inOrder, counts.Reordered)
	}
	if took := all[500].at - 500*ms; took < 40*ms || took > 60*ms {
		t.Errorf("a packet took %v, should be 40ms to 60ms", took)
	}
}

func TestHeldPacketsAreOvertakenAndCounted(t *testing.T) {
	all, counts := send(t, Spec{RoundTrip: 80 * ms, Reorder: 0.1}, 1000, ms)
	late, newest := 0, 0
	for _, a := range all {
		took := a.at - time.Duration(a.number-1)*ms
		if took != 40*ms && took != 50*ms {
			t.Fatalf("packet %d took %v, should be 40ms, or 50ms when it is held back", a.number, took)
		}
		if a.number < newest {
			late++
		}
		newest = max(newest, a.number)
	}
	if late < 50 || counts.Reordered != late || len(all) != 1000 {
		t.Errorf("of %d packets %d were overtaken, %d were counted", len(all), late, counts.Reordered)
	}
}
