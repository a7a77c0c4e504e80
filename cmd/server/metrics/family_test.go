package metrics

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/ba995850/overlap/internal/control"
)

func TestSiblingsAreRemembered(t *testing.T) {
	at := func(name, addr string, pid int) control.Found {
		return control.Found{Here: true, Status: control.Status{
			Instance: name, Release: "v" + name, PID: pid, UID: os.Geteuid(), Ports: []control.Port{{Addr: addr}},
		}}
	}
	silent := func(name string) control.Found {
		return control.Found{Err: errors.New("silent"), Status: control.Status{Instance: name, UID: os.Geteuid()}}
	}
	self, sibling, stranger := at("1", ":80", os.Getpid()), at("2", ":80", 2), at("3", ":90", 3)
	var y family
	names := func(all ...control.Found) (names []string) {
		for _, f := range y.pick(all) {
			names = append(names, f.Release+f.Instance)
		}
		return names
	}
	if got := names(self, sibling, stranger, silent("4")); !slices.Equal(got, []string{"v11", "v22", "4"}) {
		t.Errorf("siblings are %q", got)
	}
	if y.patience("2") != scrapePatience || y.patience("3") != 0 || y.patience("4") != scrapeImpatience || y.patience("5") != scrapePatience {
		t.Errorf("waits for 2 %v, 3 %v, 4 %v, 5 %v", y.patience("2"), y.patience("3"), y.patience("4"), y.patience("5"))
	}
	if got := names(silent("2"), silent("3")); !slices.Equal(got, []string{"v22"}) {
		t.Errorf("siblings are %q, although we have gone ourselves", got)
	}
	if y.patience("2") != scrapeImpatience {
		t.Errorf("waits for 2 %v", y.patience("2"))
	}
	if got := names(sibling); !slices.Equal(got, []string{"v22"}) || y.patience("2") != scrapePatience {
		t.Errorf("siblings are %q, waits %v", got, y.patience("2"))
	}
}
