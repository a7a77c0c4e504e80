package main

import (
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap"
)

// told is an instance that notes what it is told.
type told struct{ acts []string }

func (i *told) Retire()              { i.acts = append(i.acts, "retire") }
func (i *told) HandOver()            { i.acts = append(i.acts, "hand over") }
func (i *told) TakeBack()            { i.acts = append(i.acts, "take back") }
func (i *told) Cut()                 { i.acts = append(i.acts, "cut") }
func (i *told) State() overlap.State { return overlap.StateRetiring }
func (i *told) Phase() overlap.Phase { return overlap.PhaseLinger }
func (i *told) Tier() overlap.Tier   { return overlap.Tier{Lossless: true} }
func (i *told) Addrs() []net.Addr    { return nil }
func (i *told) Requests() int64      { return 7 }

// newOperator returns one of a supervised instance.
func newOperator(inst *told, log *lines) *operator {
	return &operator{inst: inst, log: log.logger(), succession: &succession{obstacle: "a supervisor"}}
}

// receive returns when all signals have been obeyed: the channel has no buffer,
// and obey looks at stopped only between two of them.
func receive(o *operator, sigs ...os.Signal) {
	signals, stopped, ended := make(chan os.Signal), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		o.obey(signals, stopped)
	}()
	for _, sig := range sigs {
		signals <- sig
	}
	close(stopped)
	<-ended
}

func TestSignalsDoWhatTheTableSays(t *testing.T) {
	const (
		term, intr, hup = syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP
		pipe            = syscall.SIGPIPE
	)
	for _, test := range []struct {
		name string
		sigs []os.Signal
		want []string
	}{
		{"TERM retires", []os.Signal{term}, []string{"retire"}},
		{"a second TERM never cuts", []os.Signal{term, term, term}, []string{"retire", "retire", "retire"}},
		{"INT retires", []os.Signal{intr}, []string{"retire"}},
		{"a second INT cuts", []os.Signal{intr, intr}, []string{"retire", "cut"}},
		{"INT after TERM does not cut yet", []os.Signal{term, intr}, []string{"retire", "retire"}},
		{"HUP does nothing where nobody can succeed us", []os.Signal{hup}, nil},
		{"USR2 cuts", []os.Signal{term, usr2}, []string{"retire", "cut"}},
		{"PIPE does nothing", []os.Signal{pipe}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inst, log := &told{}, &lines{}
			receive(newOperator(inst, log), test.sigs...)
			if !slices.Equal(inst.acts, test.want) {
				t.Errorf("did %v, want %v", inst.acts, test.want)
			}
		})
	}
}

func TestUSR1WritesOneStatusLine(t *testing.T) {
	var log lines
	inst := &told{}
	receive(newOperator(inst, &log), usr1)
	line := log.only(t)
	for key, want := range map[string]any{
		"msg": "status", "state": "retiring", "phase": "linger", "tier": "lossless", "requests": 7.0,
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if len(inst.acts) != 0 {
		t.Errorf("did %v", inst.acts)
	}
}

func TestHUPIsLoggedAndPIPEIsNot(t *testing.T) {
	var log lines
	receive(newOperator(&told{}, &log), syscall.SIGHUP, syscall.SIGPIPE)
	if line := log.only(t); line["signal"] != "HUP" || line["level"] != "WARN" || line["why"] != "a supervisor" {
		t.Errorf("logged %v", line)
	}
}

func TestHelpNamesEachSignal(t *testing.T) {
	for _, s := range signalTable() {
		if !strings.Contains(signalHelp(), "\n  "+s.name+" ") {
			t.Errorf("%s is missing in:\n%s", s.name, signalHelp())
		}
	}
}
