package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// The sizes of a timeline, from top to bottom.
const (
	leftEdge, rightEdge = 58, 44 // room for the numbers of the axes
	labelRow            = 17
	tallest             = 12 // marks of losses in a column; more of them lie closer
)

// drawing is a timeline on its way to be a picture.
type drawing struct {
	canvas
	timeline
	x      timeScale
	y      px // what is above is drawn
	bottom px // of the plots
}

// draw makes the picture of a timeline, so wide. Wide ones are higher, too.
func (t timeline) draw(width px) picture {
	d := drawing{timeline: t, x: timeScale{t.from, t.to, span{leftEdge, width - rightEdge}}}
	requests, latency := width*0.13+60, width*0.09+60
	labels, rows := arrange(together(t.marks, d.x, width), d.x, width)
	if rows > 10 { // so many that nobody would read them
		for i := range labels {
			labels[i].text, labels[i].row = "", 0
		}
		rows = 0
	}
	d.y = px(rows*labelRow) + 8
	top := d.y
	d.requests(requests)
	d.losses()
	d.latencies(latency)
	d.bottom = d.y
	d.timeAxis()
	d.moments(labels, top)
	return picture{width, d.y, d.String(), t.words()}
}

// requests draws what was answered, release on release.
func (d *drawing) requests(height px) {
	d.caption("requests per " + short(d.step) + ", by release")
	top := niceCount(max(d.highest(), 1))
	up := span{d.y + height, d.y}
	for _, n := range []int{0, top / 2, top} {
		y := up.at(float64(n) / float64(top))
		d.line("grid", d.x.span.from, y, d.x.span.to, y)
		d.text("tick end", leftEdge-8, y+4, grouped(n))
	}
	below := make([]int, len(d.bins))
	for i, name := range d.releases {
		d.release(i, name, below, func(n int) px { return up.at(float64(n) / float64(top)) })
	}
	d.names(d.y-10, up.from)
	d.y += height
}

// release draws the share of one release, on top of what is below it.
func (d *drawing) release(i int, name string, below []int, y func(int) px) {
	var area strings.Builder
	all, gap := 0, px(0)
	if d.x.at(d.step)-d.x.at(0) > 5 {
		gap = 1
	}
	for j, b := range d.bins {
		n := b.of(i)
		if n == 0 {
			continue
		}
		left, right := d.edges(j)
		low, high := y(below[j]), y(below[j]+n)
		fmt.Fprintf(&area, "M%v %vH%vV%vH%vZ", left, low, right-gap, high, left)
		below[j] += n
		all += n
	}
	d.explained(fmt.Sprintf("release r%d", i%palette), area.String(), fmt.Sprintf("%s answered %s", orUnnamed(name), grouped(all)))
}

// room returns the stretch in which a release answered most of what was answered.
func (d *drawing) room(release int) (s span) {
	for j, b := range d.bins {
		if 2*b.of(release) > len(b.latencies) {
			left, right := d.edges(j)
			if s.to == 0 {
				s.from = left
			}
			s.to = right
		}
	}
	return s
}

// names writes the name of each release where it answered, if there is room, else
// beside the caption.
func (d *drawing) names(caption, floor px) {
	x := d.x.span.to
	for i, name := range slices.Backward(d.releases) {
		name = orUnnamed(name)
		if s := d.room(i); s.to-s.from > widthOf(name)+8 {
			d.text(fmt.Sprintf("name middle on%d", i%palette), (s.from+s.to)/2, floor-9, name)
			continue
		}
		x -= widthOf(name) + 18
		if x > d.x.span.from+200 {
			d.path(fmt.Sprintf("release r%d", i%palette), fmt.Sprintf("M%v %vh9v9h-9Z", x, caption-9))
			d.onTop("caption", x+13, caption, name)
		}
	}
}

// edges returns where a slice begins and ends.
func (d *drawing) edges(bin int) (left, right px) {
	at := d.from + time.Duration(bin)*d.step
	return d.x.at(at), d.x.at(min(at+d.step, d.to))
}

// losses draws a mark for each request that was lost, in columns.
func (d *drawing) losses() {
	d.y += 10
	pitch, lane := d.lane()
	class := "tick end"
	if len(d.lost) > 0 {
		class = "bad end"
	}
	d.text(class, leftEdge-8, d.y+lane-4, grouped(len(d.lost))+" lost")
	d.line("grid", d.x.span.from, d.y+lane, d.x.span.to, d.y+lane)
	var crosses strings.Builder
	columns := map[int]px{}
	for _, rec := range d.lost {
		x, column := d.x.at(rec.Due), d.column(rec)
		fmt.Fprintf(&crosses, "M%v %vl5 -5m0 5l-5 -5", x-2.5, d.y+lane-3-columns[column]*pitch)
		columns[column]++
	}
	d.explained("lost", crosses.String(), grouped(len(d.lost))+" lost")
	d.y += lane + 26
}

const lossWidth px = 7

func (d *drawing) column(lost evidence.Record) int { return int(d.x.at(lost.Due) / lossWidth) }

// lane returns how far apart the marks lie in a column, and how high the highest is.
func (d *drawing) lane() (pitch, height px) {
	columns, highest := map[int]int{}, 1
	for _, rec := range d.lost {
		columns[d.column(rec)]++
		highest = max(highest, columns[d.column(rec)])
	}
	pitch = min(lossWidth, tallest*lossWidth/px(highest))
	return pitch, px(highest)*pitch + 8
}

// latencies draws percentiles, on a logarithmic scale.
func (d *drawing) latencies(height px) {
	d.caption("latency, from when a request was due")
	least, longest := d.latencyRange()
	up := newLogScale(least, longest, span{d.y + height, d.y})
	for _, tick := range up.decades() {
		d.line("grid", d.x.span.from, up.at(tick), d.x.span.to, up.at(tick))
		d.text("tick end", leftEdge-8, up.at(tick)+4, short(tick))
	}
	last := px(1e6)
	for _, l := range []struct {
		name, class string
		q           float64
	}{{"p50", "p50", 0.5}, {"p99", "p99", 0.99}, {"max", "max", 1}} {
		end := d.quantile(l.class, l.q, up)
		if end == 0 {
			continue
		}
		last = min(end+4, last-13) // so that names do not lie on each other
		d.text("tick", d.x.span.to+6, last, l.name)
	}
	d.y += height
}

// quantile draws one of them, and returns where it ends. The line breaks where nothing
// was answered.
func (d *drawing) quantile(class string, q float64, up logScale) (y px) {
	var line strings.Builder
	verb := "M"
	for j, b := range d.bins {
		if len(b.latencies) == 0 {
			verb = "M"
			continue
		}
		left, right := d.edges(j)
		y = up.at(b.at(q))
		fmt.Fprintf(&line, "%s%v %v", verb, (left+right)/2, y)
		verb = "L"
	}
	d.path("line "+class, line.String())
	return y
}

func (d *drawing) timeAxis() {
	d.y += 18
	every := stepFor(d.to-d.from, max(int((d.x.span.to-d.x.span.from)/72), 2))
	first := (d.from - d.zero + every - 1).Truncate(every)
	for t := first; t <= d.to-d.zero; t += every {
		text := short(t)
		if t > 0 && d.signed {
			text = "+" + text
		}
		x := d.x.at(d.zero + t)
		d.line("grid", x, d.bottom, x, d.bottom+5)
		d.text("tick middle", x, d.y, text)
	}
	d.y += 8
}

// moments draws the marks across all plots, first the lines, then the texts.
func (d *drawing) moments(labels []label, top px) {
	for _, l := range labels {
		class := "moment"
		if l.main {
			class = "moment main"
		}
		y := px(l.row*labelRow) + 4
		if l.text == "" {
			y = top
		}
		d.line(class, l.x, y, l.x, d.bottom)
	}
	for _, l := range labels {
		class, x := "", l.x+5
		if l.end {
			class, x = "end", l.x-5
		}
		if l.main {
			class += " main"
		}
		if l.text != "" {
			d.onTop(class, x, px(l.row*labelRow)+13, l.text)
		}
	}
}

// caption is the title of a plot.
func (d *drawing) caption(text string) {
	d.y += 14
	d.onTop("caption", d.x.span.from, d.y, text)
	d.y += 10
}

// words says what a picture shows, for those who do not see it.
func (t timeline) words() string {
	var parts []string
	for i, name := range t.releases {
		n := 0
		for _, b := range t.bins {
			n += b.of(i)
		}
		parts = append(parts, fmt.Sprintf("%s answered %d requests", orUnnamed(name), n))
	}
	_, longest := t.latencyRange()
	return fmt.Sprintf("Timeline over %s: %s; %d were lost; the longest latency was %s.",
		(t.to - t.from).Round(time.Millisecond), strings.Join(parts, ", "), len(t.lost), longest.Round(10*time.Microsecond))
}

func orUnnamed(release string) string {
	if release == "" {
		return "unnamed release"
	}
	return release
}
