package page

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// Broken on purpose, and seen red:
//   - marks of losses are drawn once for each column: TestEveryLossIsARedMark
//   - a label takes the first row that is free of texts: TestLabelsDoNotCollide
//   - the last slice ends with the last request: TestTheSlicesHoldEveryAnswer
//   - marks are joined where their text has no room: TestMomentsThatNobodyTellsApartShareARow
//   - a picture as a file is not signed: TestFilesSayWhereTheyComeFrom
//   - features are in the order of the runs: TestThePageBeginsWithWhatItIsAbout
//   - settings are written as HTML: TestWhatOthersWroteIsNotBelieved

func small(t *testing.T) evidence.File {
	t.Helper()
	file, err := evidence.ReadFile("../../testdata/small.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func written(t *testing.T, files ...evidence.File) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, files); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// run is one of n requests, a millisecond apart, of which some are lost.
func run(n int, lost func(i int) bool) evidence.Run {
	var r evidence.Run
	for i := range n {
		rec := evidence.Record{Kind: "new", Due: time.Duration(i) * time.Millisecond, Latency: time.Millisecond, Release: "v1"}
		if lost(i) {
			rec.Outcome = evidence.Reset
		}
		r.Records = append(r.Records, rec)
	}
	r.Handovers = []evidence.Handover{{From: "v1", To: "v2", At: time.Duration(n/2) * time.Millisecond}}
	return r
}

func TestEveryLossIsARedMark(t *testing.T) {
	for _, n := range []int{0, 1, 5000} {
		r := run(5000, func(i int) bool { return i < n })
		if drawn := strings.Count(wholeRun(r).draw(wide).body, "l5 -5m0 5l-5 -5"); drawn != n {
			t.Errorf("%d marks for %d losses", drawn, n)
		}
	}
}

func TestTheSlicesHoldEveryAnswer(t *testing.T) {
	for _, n := range []int{1, 100, 101, 2999} {
		r := run(n, func(i int) bool { return i%7 == 1 })
		line, held := wholeRun(r), len(wholeRun(r).lost)
		for _, b := range line.bins {
			held += len(b.latencies)
		}
		if held != n {
			t.Errorf("of %d requests the slices hold %d", n, held)
		}
	}
}

func TestAnUpgradeBeginsASlice(t *testing.T) {
	line := closeUp(small(t).Runs[0])
	if line.step != 100*time.Millisecond || (line.zero-line.from)%line.step != 0 {
		t.Errorf("slices of %v, the moment is %v after the first", line.step, line.zero-line.from)
	}
}

func TestTheUpgradeThatLostMostIsLookedAt(t *testing.T) {
	r := run(10000, func(i int) bool { return i == 7010 })
	r.Handovers = []evidence.Handover{{At: time.Second}, {At: 4 * time.Second, Began: 4 * time.Second}, {At: 7 * time.Second, Began: 7 * time.Second}}
	if h := telling(r); h.At != 7*time.Second {
		t.Errorf("it looks at the one after %v", h.At)
	}
}

func TestLabelsDoNotCollide(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var marks []mark
		for at := time.Duration(0); len(marks) < 9; at += time.Duration(dice.IntN(150)) * time.Millisecond {
			marks = append(marks, mark{at: at, text: strings.Repeat("x", 1+dice.IntN(20))})
		}
		labels, _ := arrange(marks, timeScale{0, 2 * time.Second, span{50, 900}}, 960)
		for j, later := range labels {
			for _, l := range labels[:j] {
				if l.row == later.row && l.textSpan().meets(later.textSpan()) {
					t.Fatalf("two texts lie on each other: %+v, %+v", l, later)
				}
				if !later.end && l.row >= later.row && later.x > l.textSpan().from+2 && later.x < l.textSpan().to {
					t.Fatalf("a line goes through a text: %+v, %+v", l, later)
				}
			}
		}
	}
}

func TestMomentsThatNobodyTellsApartShareARow(t *testing.T) {
	marks := []mark{{at: 0, text: "now", main: true}, {at: 0, text: "steer"}, {at: time.Millisecond, text: "settle"}, {at: time.Second, text: "gone"}}
	s := timeScale{0, 2 * time.Second, span{50, 900}}
	for edge, want := range map[px]string{960: "now|steer, settle|gone", 200: "now|steer|settle|gone"} {
		var rows []string
		for _, m := range together(marks, s, edge) {
			rows = append(rows, m.text)
		}
		if got := strings.Join(rows, "|"); got != want {
			t.Errorf("%v wide: %s, should be %s", edge, got, want)
		}
	}
}

func TestThePageBeginsWithWhatItIsAbout(t *testing.T) {
	file := small(t)
	slices.Reverse(file.Runs)
	first, _, _ := strings.Cut(written(t, file), "</h2>")
	if !strings.HasSuffix(first, "<h2>A live upgrade") {
		t.Errorf("it begins with %s", first[strings.LastIndex(first, "<h2>"):])
	}
}

func TestThePageSaysTheVerdictFirst(t *testing.T) {
	text := written(t, small(t))
	first := regexp.MustCompile(`(?s)<h1>(.*?)</h1>`).FindStringSubmatch(text)
	if plain := regexp.MustCompile(`<.*?>`).ReplaceAllString(first[1], ""); plain != "0 of 40 requests lost in 1 upgrade" {
		t.Errorf("it begins with %q", plain)
	}
	if !strings.Contains(text, "Sent 40 = answered 40 + lost 0.") {
		t.Error("it does not account for what was sent")
	}
}

func TestARunThatLostSaysSoFirst(t *testing.T) {
	file := small(t)
	file.Runs = file.Runs[1:2]
	if text := written(t, file); !strings.Contains(text, `<header class="failed">`) || !strings.Contains(text, "Sent 40 = answered 37 + lost 3.") {
		t.Error("it does not")
	}
}

func TestAPeerThatIsAbsentIsARowThatSaysWhy(t *testing.T) {
	if !strings.Contains(written(t, small(t)), "not run: apt-get install haproxy") {
		t.Error("it is not there")
	}
}

func TestOneSystemHasNoPeers(t *testing.T) {
	file := small(t)
	file.Runs = file.Runs[:1]
	if strings.Contains(written(t, file), "Other systems") {
		t.Error("there is a table of nobody else")
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	text := written(t, small(t))
	for _, found := range regexp.MustCompile(`(?i)<script|<iframe|@import|url\(|\s(src|href)="[^"]*"`).FindAllString(text, -1) {
		if found != ` href="data:,"` {
			t.Errorf("it has %s", found)
		}
	}
}

func TestWhatOthersWroteIsNotBelieved(t *testing.T) {
	file := small(t)
	for i := range file.Runs[0].Records {
		file.Runs[0].Records[i].Release = `<img src="x">`
	}
	text := written(t, file)
	if strings.Contains(text, "<img") || strings.Contains(text, "<b>") {
		t.Error("a name or a setting is taken for HTML")
	}
}

func TestEveryPictureSaysWhatItShows(t *testing.T) {
	text := written(t, small(t))
	if pictures, said := strings.Count(text, "<svg"), strings.Count(text, `role="img" aria-label="`); pictures != said || pictures == 0 {
		t.Errorf("%d of %d pictures say what they show", said, pictures)
	}
}

func TestFilesNeedNoStyleOfAPage(t *testing.T) {
	for _, f := range Pictures([]evidence.File{small(t)}) {
		if strings.Contains(f.Text, "var(") || !strings.Contains(f.Text, "<title>") {
			t.Errorf("%s does", f.Name)
		}
	}
}

func TestFilesSayWhereTheyComeFrom(t *testing.T) {
	for _, f := range Pictures([]evidence.File{small(t)}) {
		for _, part := range []string{">go run ./bench --scenario &#39;small one&#39;<", "26 November 2026 · commit 0123456789ab · Linux 6.18.0 · 2 CPUs A Processor · go1.26.8"} {
			if !strings.Contains(f.Text, part) {
				t.Errorf("%s does not say %s", f.Name, part)
			}
		}
	}
}

func TestALongCommandIsBroken(t *testing.T) {
	if lines := broken("one two three four", 70); !slices.Equal(lines, []string{"one two", "three four"}) {
		t.Errorf("the lines are %q", lines)
	}
}

func TestNeighboursDifferInLightness(t *testing.T) {
	for i := range palette {
		a, b := colorOf(t, i), colorOf(t, (i+1)%palette)
		for _, pair := range [][2]string{{a.light, b.light}, {a.dark, b.dark}} {
			if c := contrast(t, pair[0], pair[1]); c < 2 {
				t.Errorf("the contrast of %v is %.1f", pair, c)
			}
		}
	}
}

func colorOf(t *testing.T, release int) color {
	t.Helper()
	for _, c := range colors {
		if c.name == "r"+strconv.Itoa(release) {
			return c
		}
	}
	t.Fatalf("release %d has no color", release)
	return color{}
}
