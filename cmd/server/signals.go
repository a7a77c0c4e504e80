package main

import (
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/ba995850/overlap"
)

// instance is what a signal acts on.
type instance interface {
	Retire()
	HandOver()
	TakeBack()
	Cut()
	State() overlap.State
	Phase() overlap.Phase
	Tier() overlap.Tier
	Addrs() []net.Addr
	Requests() int64
}

// operator does what signals ask for.
type operator struct {
	inst        instance
	log         *slog.Logger
	succession  *succession
	interrupted bool
}

type signalAct struct {
	signal     os.Signal
	name, does string
	act        func(*operator)
}

// signalTable is all that we do on signals. QUIT is left to Go.
func signalTable() []signalAct {
	return []signalAct{
		{syscall.SIGTERM, "TERM", "retire; a second one changes nothing, since orchestrators repeat it", (*operator).retire},
		{syscall.SIGINT, "INT", "retire; a second one cuts what is left", (*operator).interrupt},
		{syscall.SIGHUP, "HUP", "start the program again, and retire when that serves: see below", (*operator).hangUp},
		{usr1, "USR1", "write one status line to the log", (*operator).status},
		{usr2, "USR2", "cut what is left, now", (*operator).cut},
		{syscall.SIGPIPE, "PIPE", "nothing: losing the reader of our log is no reason to lose requests", (*operator).ignore},
	}
}

// handleSignals lets signals act on inst until stop is called. They do not get
// their usual meaning back then: a TERM between the verdict and the end of the
// process must not change the exit code.
func handleSignals(inst instance, log *slog.Logger, next *succession) (stop func()) {
	table := signalTable()
	signals := make(chan os.Signal, 2*len(table)) // Notify does not wait for us
	for _, s := range table {
		signal.Notify(signals, s.signal)
	}
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		(&operator{inst: inst, log: log, succession: next}).obey(signals, stopped)
	}()
	return func() {
		close(stopped)
		<-ended
		next.end()
	}
}

// obey acts on each signal until stopped is closed.
func (o *operator) obey(signals <-chan os.Signal, stopped <-chan struct{}) {
	for {
		select {
		case sig := <-signals:
			o.act(sig)
		case <-stopped:
			return
		}
	}
}

func (o *operator) act(sig os.Signal) {
	for _, s := range signalTable() {
		if s.signal == sig {
			s.act(o)
		}
	}
}

func (o *operator) retire() {
	o.succession.giveUp()
	o.inst.Retire()
}

func (o *operator) interrupt() {
	if o.interrupted {
		o.cut()
		return
	}
	o.interrupted = true
	o.retire()
}

func (o *operator) status() {
	o.log.Info("status",
		slog.String("state", o.inst.State().String()),
		slog.String("phase", string(o.inst.Phase())),
		slog.String("tier", o.inst.Tier().String()),
		slog.Int64("requests", o.inst.Requests()))
}

func (o *operator) cut() {
	o.succession.giveUp()
	o.inst.Cut()
}

// ignore must not log either: a line to a closed pipe raises the next PIPE.
func (o *operator) ignore() {}
