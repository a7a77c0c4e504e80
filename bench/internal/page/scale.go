package page

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// span is a stretch of an axis, from one pixel to another.
type span struct{ from, to px }

// at returns where a part of the whole lies, 0 to 1.
func (s span) at(part float64) px { return s.from + px(part)*(s.to-s.from) }

// timeScale places moments of a run.
type timeScale struct {
	from, to time.Duration
	span
}

func (s timeScale) at(t time.Duration) px {
	return s.span.at(float64(t-s.from) / float64(s.to-s.from))
}

// logScale places latencies, decade by decade.
type logScale struct {
	low, high int // powers of ten, of a second
	span
}

// newLogScale has room for all that lies between two latencies.
func newLogScale(least, most time.Duration, s span) logScale {
	low := int(math.Floor(math.Log10(max(least, time.Microsecond).Seconds())))
	high := int(math.Ceil(math.Log10(max(most, time.Microsecond).Seconds())))
	return logScale{low, max(high, low+1), s}
}

func (s logScale) at(t time.Duration) px {
	part := (math.Log10(max(t, time.Nanosecond).Seconds()) - float64(s.low)) / float64(s.high-s.low)
	return s.span.at(min(max(part, 0), 1))
}

// decades returns the powers of ten, each with how it is written.
func (s logScale) decades() (ticks []time.Duration) {
	for e := s.low; e <= s.high; e++ {
		ticks = append(ticks, time.Duration(math.Round(math.Pow10(e+9))))
	}
	return ticks
}

// steps are the lengths that a reader can count in.
var steps = [...]time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// stepFor returns the shortest step of which no more than so many fill the time.
func stepFor(whole time.Duration, most int) time.Duration {
	for _, s := range steps {
		if whole <= s*time.Duration(most) {
			return s
		}
	}
	return (whole/time.Duration(most) + time.Hour).Truncate(time.Hour)
}

// niceCount returns a round number that is not less than n.
func niceCount(n int) int {
	power := 1
	for {
		for _, digit := range [...]int{1, 2, 3, 4, 5, 6, 8} {
			if digit*power >= n {
				return digit * power
			}
		}
		power *= 10
	}
}

// grouped writes a number with a thin space between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// took writes a length of time with three digits, which is what a reader compares.
func took(s evidence.Seconds) string {
	t := time.Duration(float64(s) * float64(time.Second))
	unit := time.Microsecond
	switch {
	case t == 0:
		return "–"
	case t >= time.Second:
		unit = time.Second
	case t >= time.Millisecond:
		unit = time.Millisecond
	}
	n := float64(t) / float64(unit)
	return strconv.FormatFloat(n, 'f', max(2-int(math.Log10(max(n, 1))), 0), 64) + " " + unitName(unit)
}

func unitName(unit time.Duration) string {
	switch unit {
	case time.Second:
		return "s"
	case time.Millisecond:
		return "ms"
	}
	return "µs"
}

// short writes a round time as axes do.
func short(t time.Duration) string {
	unit := time.Microsecond
	switch a := t.Abs(); {
	case a >= time.Second || a == 0:
		unit = time.Second
	case a >= time.Millisecond:
		unit = time.Millisecond
	}
	number := strconv.FormatFloat(float64(t)/float64(unit), 'g', 4, 64)
	return strings.Replace(number, "-", "−", 1) + " " + unitName(unit)
}
