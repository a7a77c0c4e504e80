package listen

import "testing"

// BenchmarkGracePeriod is what one membarrier(2) takes, the larger part of steering.
func BenchmarkGracePeriod(b *testing.B) {
	for b.Loop() {
		waitForGracePeriod()
	}
}

// BenchmarkLook is one look at where new connections go.
func BenchmarkLook(b *testing.B) {
	m := joined(b, "m", "tcp4", "127.0.0.1:0")
	p := m.kernel.(*pinned).prober
	for b.Loop() {
		if _, err := p.look(probes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTable is one reading of the table of listeners.
func BenchmarkTable(b *testing.B) {
	t, err := openTable(false)
	if err != nil {
		b.Fatal(err)
	}
	defer t.close()
	for b.Loop() {
		if _, err := t.listeners(); err != nil {
			b.Fatal(err)
		}
	}
}
