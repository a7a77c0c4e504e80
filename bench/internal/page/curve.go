package page

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/report"
)

// curve is a line in a picture of percentiles.
type curve struct {
	name, class string
	points      report.Curve
}

// percentiles draws how latency grows towards the slowest request, each nine as wide
// as the one before (as HdrHistogram's plots do).
func percentiles(r evidence.Run, width px) picture {
	calm, upgrading := report.Curves(r)
	curves := []curve{{"steady", "p50", calm}, {"within 0.5 s of a handover", "other", upgrading}}
	var c canvas
	height := width*0.16 + 110
	x := span{leftEdge, width - rightEdge}
	nines, least, most := reach(curves)
	up := newLogScale(least, most, span{height - 30, 28})
	for _, tick := range up.decades() {
		c.line("grid", x.from, up.at(tick), x.to, up.at(tick))
		c.text("tick end", leftEdge-8, up.at(tick)+4, short(tick))
	}
	for n := 0; float64(n) <= nines; n++ {
		at := x.at(float64(n) / nines)
		c.line("grid", at, up.span.from, at, up.span.to)
		c.text("tick middle", at, height-12, percent(n))
	}
	for i, l := range curves {
		c.path("line "+l.class, through(l.points, func(p report.Point) (px, px) { return x.at(ninesOf(p.Part) / nines), up.at(p.Latency) }))
		c.line("line "+l.class, x.from+px(i)*80, 12, x.from+px(i)*80+22, 12)
		c.text("caption", x.from+px(i)*80+28, 16, l.name)
	}
	return picture{width, height, c.String(), wordsOf(curves)}
}

// ninesOf counts the nines of a part: 0.999 has three.
func ninesOf(part float64) float64 { return -math.Log10(1 - part) }

func percent(nines int) string {
	if nines == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.*f %%", max(nines-2, 0), 100-100*math.Pow10(-nines))
}

// reach returns how far the axes have to go.
func reach(curves []curve) (nines float64, least, most time.Duration) {
	nines, least = 1, time.Hour
	for _, c := range curves {
		for _, p := range c.points {
			nines = max(nines, ninesOf(p.Part))
			least, most = min(least, p.Latency), max(most, p.Latency)
		}
	}
	return nines, min(least, most), most
}

func through(points report.Curve, at func(report.Point) (x, y px)) string {
	var d strings.Builder
	for i, p := range points {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		x, y := at(p)
		fmt.Fprintf(&d, "%s%v %v", verb, x, y)
	}
	return d.String()
}

func wordsOf(curves []curve) string {
	var parts []string
	for _, c := range curves {
		if len(c.points) > 0 {
			last := c.points[len(c.points)-1]
			parts = append(parts, fmt.Sprintf("%s up to %s", c.name, last.Latency.Round(10*time.Microsecond)))
		}
	}
	return "Latency by percentile: " + strings.Join(parts, "; ") + "."
}
