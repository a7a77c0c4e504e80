package printable

import "testing"

// Broken on purpose, and seen red: everything is kept; letters beyond ASCII are not.
func TestWhatIsNotPrintableIsMarked(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"grüß 世界 v1":              "grüß 世界 v1",
		"\x1b[2J\x07a\nb\tc\x9b1": "\uFFFD[2J\uFFFDa\uFFFDb\uFFFDc\uFFFD1",
		"left\u202eright":         "left\uFFFDright", // which would turn what follows around
	} {
		if got := Of(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
