package page

import "time"

// mark is a moment with a name.
type mark struct {
	at   time.Duration
	text string
	main bool // the moment that all is about
}

// label is a mark in its place. Its text begins at its line and goes to the right, or,
// where the picture ends, to the left.
type label struct {
	mark
	x   px
	end bool // the text is left of the line
	row int  // 0 is on top
}

// textSpan is what the text covers, with some air.
func (l label) textSpan() span {
	if l.end {
		return span{l.x - widthOf(l.text) - 8, l.x + 2}
	}
	return span{l.x - 2, l.x + widthOf(l.text) + 8}
}

func (s span) meets(t span) bool { return s.from < t.to && t.from < s.to }

// indistinct is how near to each other two lines are one to the eye.
const indistinct px = 3

// together makes one mark of those that nobody could tell apart, where their texts have
// room in one row. The main one stays alone.
func together(marks []mark, s timeScale, edge px) (all []mark) {
	for _, m := range marks {
		last := len(all) - 1
		if last >= 0 && !all[last].main && s.at(m.at)-s.at(all[last].at) < indistinct {
			if text := all[last].text + ", " + m.text; widthOf(text) < edge/3 {
				all[last].text = text
				continue
			}
		}
		all = append(all, m)
	}
	return all
}

// arrange gives each label a row, so that no text lies on another, and none on the
// line of an earlier one: what comes later hangs lower, like stairs. The marks are in
// order.
func arrange(marks []mark, s timeScale, edge px) (labels []label, rows int) {
	for _, m := range marks {
		l := label{mark: m, x: s.at(m.at)}
		l.end = l.x+widthOf(m.text)+4 > edge
		for _, before := range labels {
			if before.textSpan().meets(l.textSpan()) {
				l.row = max(l.row, before.row+1)
			}
		}
		labels = append(labels, l)
		rows = max(rows, l.row+1)
	}
	return labels, rows
}
