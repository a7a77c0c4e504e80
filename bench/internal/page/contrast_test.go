package page

import (
	"math"
	"strconv"
	"testing"
)

// contrast is that of two colours, 1 to 21 (WCAG 2.2).
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(shift int) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

func TestTextsCanBeRead(t *testing.T) {
	by := map[string]color{}
	for _, c := range colors {
		by[c.name] = c
	}
	for _, pair := range [][2]string{
		{"ink", "paper"}, {"ink", "card"}, {"muted", "paper"}, {"good", "paper"}, {"bad", "paper"},
		{"on0", "r0"}, {"on1", "r1"}, {"on2", "r2"}, {"on3", "r3"},
	} {
		a, b := by[pair[0]], by[pair[1]]
		if light, dark := contrast(t, a.light, b.light), contrast(t, a.dark, b.dark); min(light, dark) < 4.5 {
			t.Errorf("%s on %s has a contrast of %.1f, in the dark %.1f; texts need 4.5", pair[0], pair[1], light, dark)
		}
	}
}
