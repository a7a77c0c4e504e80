package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ba995850/overlap"
	"github.com/spf13/cobra"
)

func newServe(env env) *cobra.Command {
	var (
		cfg   config
		file  string
		flags = cfg.flags()
	)
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Serve HTTP until a signal says to leave, then leave without losing a request",
		Long:    chapters(serveHelp, precedence, signalHelp(), exitHelp()),
		Example: takeover,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := cfg.load(flags, file, env.getenv); err != nil {
				return configError{err}
			}
			return serve(cfg, newLogger(env, cfg))
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(flags)
	cmd.Flags().StringVar(&file, "config", "", "read keys from this `file`, .yaml or .toml (env OVERLAP_CONFIG)")
	return cmd
}

// service is one run of `server serve`.
type service struct {
	cfg  config
	log  *slog.Logger
	inst *overlap.Instance
}

// serve returns when the instance has retired.
func serve(cfg config, log *slog.Logger) error {
	s := &service{cfg: cfg, log: log}
	s.inst = overlap.New(s.options())
	stop := handleSignals(s.inst, log)
	defer stop()
	return s.tell(s.inst.Serve(s.server()))
}

func (s *service) options() overlap.Options {
	return overlap.Options{
		Release:       s.cfg.Release,
		DrainTimeout:  s.cfg.DrainTimeout,
		FinishTimeout: atLeastSome(s.cfg.FinishTimeout),
		LingerTimeout: atLeastSome(s.cfg.LingerTimeout),
		SettleTimeout: atLeastSome(s.cfg.SettleTimeout),
		AllowMismatch: s.cfg.AllowMismatch,
		Plain:         s.cfg.Retire == retirePlain,
		OnState:       s.onState,
		OnPhase:       s.onPhase,
		OnNotice:      s.onNotice,
		OnVerdict:     s.onVerdict,
	}
}

// atLeastSome keeps a 0 that somebody wrote from meaning a default.
func atLeastSome(d time.Duration) time.Duration { return max(d, time.Nanosecond) }

// server bounds what a client can hold without asking for anything. It does not
// bound requests and responses (ReadTimeout, WriteTimeout): a long upload and a
// slow answer are legitimate, and a retirement bounds them by DrainTimeout.
func (s *service) server() *http.Server {
	return &http.Server{
		Addr:              s.cfg.Addr,
		Handler:           routes(s.cfg, s.ready, s.log),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

func (s *service) ready() bool { return s.inst.State() == overlap.StateServing }

func (s *service) onState(from, to overlap.State) {
	attrs := []any{slog.String("from", from.String()), slog.String("to", to.String())}
	if to == overlap.StateServing {
		attrs = append(attrs, s.place()...)
	}
	s.log.Info("state", attrs...)
}

// place says where the instance listens, and what it can promise there.
func (s *service) place() []any {
	tier := s.inst.Tier()
	attrs := []any{slog.String("addr", join(s.inst.Addrs())), slog.String("tier", tier.String())}
	if tier.Why != "" {
		attrs = append(attrs, slog.String("why", tier.Why))
	}
	return attrs
}

func join(addrs []net.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}

func (s *service) onPhase(p overlap.Phase) { s.log.Debug("phase", slog.String("phase", string(p))) }

func (s *service) onNotice(text string) { s.log.Warn("notice", slog.String("text", text)) }

func (s *service) onVerdict(v overlap.Verdict) {
	level := slog.LevelInfo
	if !v.Lossless || !v.Successor {
		level = slog.LevelWarn
	}
	s.log.Log(context.Background(), level, "verdict", slog.Any("", v))
}

// tell logs why the instance could not serve. What was cut, the verdict has told.
func (s *service) tell(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, overlap.ErrCut) {
		s.log.Error("serve", slog.Any("error", err))
	}
	return toldError{err}
}
