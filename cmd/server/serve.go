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
	"github.com/ba995850/overlap/cmd/server/metrics"
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
		Long:    chapters(serveHelp, addrHelp, tlsHelp, longHelp, adminHelp, precedence, signalHelp(), hangUpHelp, notifyHelp, exitHelp()),
		Example: chapters(takeover, underTLS),
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := cfg.load(flags, file, env.getenv); err != nil {
				return configError{err}
			}
			secrets, err := loadSecrets(cfg)
			if err != nil {
				return configError{err}
			}
			return serve(env, cfg, secrets, newLogger(env, cfg))
		},
	}
	addConfigFlags(cmd, flags, &file)
	return cmd
}

// service is one run of `server serve`.
type service struct {
	cfg     config
	secrets *secrets
	log     *slog.Logger
	inst    *overlap.Instance
	notify  *notifier
	metrics *metrics.Metrics
	started chan struct{} // closed when the instance serves, or will not
}

func newService(cfg config, secrets *secrets, log *slog.Logger) *service {
	b := buildVersion()
	s := &service{cfg: cfg, secrets: secrets, log: log, metrics: metrics.New(b.Version, b.Revision, b.Go), started: make(chan struct{})}
	s.inst = overlap.New(s.options())
	return s
}

// serve returns when the instance has retired.
func serve(env env, cfg config, secrets *secrets, log *slog.Logger) error {
	s := newService(cfg, secrets, log)
	s.notify = newNotifier(env, log, (&mirror{inst: s.inst}).ask)
	defer s.notify.stop()
	stop := handleSignals(s.inst, log, newSuccession(env, cfg, s.inst, log))
	defer stop()
	admin, err := s.openAdmin()
	if err != nil {
		return s.tell(err)
	}
	defer admin.close()
	defer secrets.unwatch()
	defer s.noteStart()
	return s.tell(s.inst.Serve(s.servers()...))
}

// noteStart lets go of who waits for the instance to serve.
func (s *service) noteStart() {
	select {
	case <-s.started:
	default:
		close(s.started)
	}
}

func (s *service) options() overlap.Options {
	return overlap.Options{
		Release:        s.cfg.Release,
		DrainTimeout:   s.cfg.DrainTimeout,
		FinishTimeout:  atLeastSome(s.cfg.FinishTimeout),
		LingerTimeout:  atLeastSome(s.cfg.LingerTimeout),
		SettleTimeout:  atLeastSome(s.cfg.SettleTimeout),
		AllowMismatch:  s.cfg.AllowMismatch,
		AllowStrangers: s.cfg.AllowStrangers,
		Plain:          s.cfg.Retire == retirePlain,
		Dark:           s.cfg.Dark,
		Private:        s.metrics.Private(),
		OnState:        s.onState,
		OnPhase:        s.onPhase,
		OnNotice:       s.onNotice,
		OnVerdict:      s.onVerdict,
	}
}

// atLeastSome keeps a 0 that somebody wrote from meaning a default.
func atLeastSome(d time.Duration) time.Duration { return max(d, time.Nanosecond) }

// servers are one for each address, with the same routes.
func (s *service) servers() []*http.Server {
	all, _ := s.cfg.addresses() // validate has seen that they can be read
	handler := routes(s.cfg, s.ready, s.metrics.Request, s.log)
	srvs := make([]*http.Server, len(all))
	for i, a := range all {
		srvs[i] = s.server(a, handler)
	}
	return srvs
}

// server bounds what a client can hold without asking for anything. It does not
// bound requests and responses (ReadTimeout, WriteTimeout): a long upload and a
// slow answer are legitimate, and a retirement bounds them by DrainTimeout. Nor does it
// end what the network only delays: where 5% of the packets are lost, a first request
// can take more than 10s. A minute is nginx's client_header_timeout.
func (s *service) server(a address, handler http.Handler) *http.Server {
	srv := &http.Server{
		Addr:              a.hostport,
		Handler:           handler,
		ReadHeaderTimeout: time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		Protocols:         new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(a.tls)
	srv.Protocols.SetUnencryptedHTTP2(!a.tls && s.cfg.H2C)
	if a.tls {
		s.secrets.secure(srv)
	}
	return srv
}

func (s *service) ready() bool { return s.inst.State() == overlap.StateServing }

func (s *service) onState(from, to overlap.State) {
	attrs := []any{slog.String("from", from.String()), slog.String("to", to.String())}
	if from == overlap.StateStarting && to != overlap.StateDrained || to == overlap.StateServing {
		attrs = append(attrs, s.place()...)
	}
	s.log.Info("state", attrs...)
	s.notify.onState(from, to, s.cfg.Release+" on "+join(s.inst.Addrs()))
	if from == overlap.StateStarting && to != overlap.StateDrained {
		s.secrets.watch(s.log)
		s.noteStart()
	}
}

// place says where the instance listens, and what it can promise there.
func (s *service) place() []any {
	tier := s.inst.Tier()
	addrs := s.inst.Addrs()
	attrs := []any{
		slog.String("addr", join(addrs)), slog.String("url", s.urls(addrs)), slog.String("tier", tier.String()),
	}
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

// urls are the addresses with what they speak, in the same order.
func (s *service) urls(addrs []net.Addr) string {
	all, _ := s.cfg.addresses()
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = address{hostport: a.String(), tls: all[i].tls}.String()
	}
	return strings.Join(texts, ",")
}

func (s *service) onPhase(p overlap.Phase) {
	s.log.Debug("phase", slog.String("phase", string(p)))
	s.notify.onPhase(p)
}

func (s *service) onNotice(text string) { s.log.Warn("notice", slog.String("text", text)) }

func (s *service) onVerdict(v overlap.Verdict) {
	level := slog.LevelInfo
	if !v.Lossless || !v.Successor {
		level = slog.LevelWarn
	}
	s.log.Log(context.Background(), level, "verdict", slog.Any("", v))
	s.metrics.Verdict(v)
	if err := s.metrics.Bequeath(context.Background()); err != nil {
		s.log.Warn("metrics", slog.Any("error", err))
	}
	s.notify.onVerdict(v)
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
