package evidence

import (
	"testing"
	"time"
)

func TestHandoversAreSeenWhereNobodyTellsOfThem(t *testing.T) {
	var records []Record
	for i := range 7000 {
		release := "v1"
		if i >= 3500 {
			release = "v2"
		}
		records = append(records, Record{Due: time.Duration(i) * time.Millisecond, Latency: 2 * time.Millisecond, Release: release})
	}
	seen := SeenHandovers(records)
	want := Handover{"v1", "v2", 3502 * time.Millisecond, 3501 * time.Millisecond, 3501 * time.Millisecond}
	if len(seen) != 1 || seen[0] != want {
		t.Errorf("saw %v, should see %v", seen, want)
	}
}
