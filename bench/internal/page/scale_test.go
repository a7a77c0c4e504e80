package page

import (
	"testing"
	"time"
)

func TestNumbersAreWrittenForReaders(t *testing.T) {
	for want, is := range map[string]string{
		"0": grouped(0), "999": grouped(999), "1\u202f000": grouped(1000), "12\u202f345\u202f678": grouped(12345678),
		"–": took(0), "135 ms": took(0.13467), "1.03 ms": took(0.001028), "20.5 µs": took(0.0000205), "2.11 s": took(2.106), "76.0 s": took(76),
		"0 s": short(0), "−500 ms": short(-500 * time.Millisecond), "10 µs": short(10 * time.Microsecond), "1.5 s": short(1500 * time.Millisecond),
		"99.9 %": percent(3), "90 %": percent(1), "99.999 %": percent(5), "0 %": percent(0),
	} {
		if is != want {
			t.Errorf("wrote %q, should be %q", is, want)
		}
	}
}

func TestAxesCountInRoundSteps(t *testing.T) {
	for _, n := range []int{1, 7, 99, 101, 1234, 99999} {
		if top := niceCount(n); top < n || top > 2*n {
			t.Errorf("for %d the axis goes to %d", n, top)
		}
	}
	for _, whole := range []time.Duration{time.Millisecond, 3 * time.Second, 15 * time.Minute, 100 * time.Hour} {
		if s := stepFor(whole, most); s*most < whole || s < 100*time.Millisecond {
			t.Errorf("%v are cut into %v", whole, s)
		}
	}
}

func TestALatencyHasItsPlace(t *testing.T) {
	s := newLogScale(200*time.Microsecond, 30*time.Millisecond, span{100, 0})
	if s.low != -4 || s.high != -1 {
		t.Errorf("the scale goes from 1e%d s to 1e%d s", s.low, s.high)
	}
	if y := s.at(time.Millisecond); y.String() != "66.7" {
		t.Errorf("a millisecond is at %v", y)
	}
	if least, most := s.at(0), s.at(time.Hour); least != 100 || most != 0 {
		t.Errorf("what does not fit is at %v and %v", least, most)
	}
}
