package wire

import (
	"strings"
	"testing"
	"time"
)

func TestASpecIsReadAndWritten(t *testing.T) {
	for text, want := range map[string]Spec{
		"80ms":     {RoundTrip: 80 * ms},
		"80ms,1%":  {RoundTrip: 80 * ms, Loss: 0.01},
		"0s,12.5%": {Loss: 0.125},
		"1s,0%":    {RoundTrip: time.Second},
		"80ms,99%": {RoundTrip: 80 * ms, Loss: 0.99},
		"80ms,.5%": {RoundTrip: 80 * ms, Loss: 0.005},
		"300ms,5%,jitter=5ms,reorder=1%": {
			RoundTrip: 300 * ms, Loss: 0.05, Jitter: 5 * ms, Reorder: 0.01,
		},
		"300ms,reorder=1%,5%,jitter=5ms": {
			RoundTrip: 300 * ms, Loss: 0.05, Jitter: 5 * ms, Reorder: 0.01,
		},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%s is read as %+v, should be %+v (%v)", text, got, want, err)
		}
		again, err := Parse(got.String())
		if err != nil || again != got {
			t.Errorf("%s is written as %v, and that is read as %+v (%v)", text, got, again, err)
		}
	}
}

func TestASpecThatMeansNothingIsRefused(t *testing.T) {
	for text, why := range map[string]string{
		"":                     "round trip",
		"1%":                   "round trip",
		"80":                   "missing unit",
		"-80ms":                "between",
		"2h":                   "between",
		"80ms,":                "percentage",
		"80ms,1":               "percentage",
		"80ms,x%":              "percentage",
		"80ms,100%":            "between",
		"80ms,-1%":             "between",
		"80ms,NaN%":            "between",
		"80ms,1%,2%":           "twice",
		"80ms,1%,loss=1%":      "twice",
		"80ms,1%,jitter":       "twice",
		"80ms,jitter=1%":       "jitter",
		"80ms,reorder=5ms":     "reorder",
		"80ms,rate=1Mbit":      "rate",
		"0s,1%,reorder=1%":     "overtake",
		"80ms,1%,jitter=5ms,x": "twice",
	} {
		if s, err := Parse(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q is read as %+v, the error is %v and should say %q", text, s, err, why)
		}
	}
}
