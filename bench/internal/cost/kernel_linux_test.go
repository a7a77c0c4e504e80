package cost

import "testing"

func TestTheKernelCanBeMeasured(t *testing.T) {
	if err := membarrier(); err != nil {
		t.Error(err)
	}
	took, err := handshakes(3)
	if err != nil || len(took) != 3 {
		t.Fatalf("%v, %v", took, err)
	}
	for _, t1 := range took {
		if t1 <= 0 {
			t.Errorf("a handshake took %v ms", t1)
		}
	}
}
