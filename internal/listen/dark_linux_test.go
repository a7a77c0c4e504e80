package listen

import (
	"slices"
	"strings"
	"testing"
)

// Members that step out of the rotation and in again.
//
// Broken on purpose, and seen red: Rest pins; it leaves half-open handshakes 7 s to live;
// Knock is content with what others accepted; its connections are not counted; ours are
// others' where a member stands.

// rest makes a member dark.
func (m *member) rest(tb testing.TB) {
	tb.Helper()
	m.steer(tb)
	if err := m.Rest(); err != nil {
		tb.Fatalf("%s rests: %v", m.name, err)
	}
}

func TestAMemberStepsOutOfTheRotationAndIn(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := joined(t, "B", "tcp4", a.Addr().String())
	for range 3 {
		b.rest(t)
		land(t, a.Addr().String(), 200).expect(t, 200, "A")
		if got := handshakeRetries(t, b); slices.Min(got) != defaultRetries {
			t.Errorf("dark: a SYN-ACK is repeated %v times, want %d", got, defaultRetries)
		}
		b.join(t)
		land(t, a.Addr().String(), 200).expect(t, 200, "AB")
	}
}

func TestADarkMemberIsThereWhereTheOthersDie(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := joined(t, "B", "tcp4", a.Addr().String())
	b.rest(t)
	a.Close()
	land(t, b.Addr().String(), 100).expect(t, 100, "B")
}

func TestAKnockSaysWhetherNewConnectionsComeHere(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := serving(t, "B", "tcp4", a.Addr().String())
	if err := b.Knock(); err == nil || !strings.Contains(err.Error(), "none came to this instance") {
		t.Error(err)
	}
	if s, err := b.Standing(); err != nil || s.Accepted != 0 || len(s.Others) != len(a.sockets()) || s.Pending != (Pending{}) {
		t.Errorf("dark: %+v, %v", s, err)
	}
	b.join(t)
	if err := b.Knock(); err != nil {
		t.Error(err)
	}
	if s, err := b.Standing(); err != nil || s.Accepted == 0 {
		t.Errorf("joined: %+v, %v", s, err)
	}
}
