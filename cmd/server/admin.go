package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/ba995850/overlap"
)

const (
	// adminDrain bounds how long a scrape can keep us, after all else has ended.
	adminDrain = 3 * time.Second
	// adminLinger is how long a connection may stay without a question, likewise. None is
	// kept alive, so a client has one only because it is about to ask.
	adminLinger = time.Second
)

// admin is a TCP address that all instances of a service share, as they share the port of
// the service. Whoever answers there answers for all.
type admin struct {
	inst *overlap.Instance
	done chan error
}

// openAdmin returns nil where there is no address. It joins before the instance itself
// does: who is told that we serve must be able to rely on it. It leaves last.
func (s *service) openAdmin() (*admin, error) {
	if s.cfg.AdminAddr == "" {
		return nil, nil
	}
	joined := make(chan struct{})
	a := &admin{done: make(chan error, 1), inst: overlap.New(overlap.Options{
		Release:        s.cfg.Release,
		DrainTimeout:   adminDrain,
		LingerTimeout:  adminLinger,
		AllowMismatch:  s.cfg.AllowMismatch,
		AllowStrangers: s.cfg.AllowStrangers,
		NoEndpoint:     true, // who asks the endpoints would take it for an instance
		OnState: func(_, to overlap.State) {
			if to == overlap.StateServing {
				close(joined)
			}
		},
	})}
	go func() { a.done <- a.inst.Serve(s.adminServer()) }()
	select {
	case <-joined:
		return a, nil
	case err := <-a.done:
		return nil, fmt.Errorf("admin-addr %s: %w", s.cfg.AdminAddr, err)
	}
}

// close returns when the last scrape has been answered.
func (a *admin) close() {
	if a != nil {
		a.inst.Retire()
		<-a.done
	}
}

// adminServer bounds what a client can hold in every way.
func (s *service) adminServer() *http.Server {
	srv := &http.Server{
		Addr:           s.cfg.AdminAddr,
		Handler:        s.adminRoutes(),
		ReadTimeout:    5 * time.Second,
		WriteTimeout:   10 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       log.New(io.Discard, "", 0), // of callers that go away
	}
	srv.SetKeepAlivesEnabled(false) // a scraper must not hold on to who is about to leave
	return srv
}

// adminRoutes has no pprof, which is for nobody but our own user.
func (s *service) adminRoutes() http.Handler {
	scrapes := s.metrics.Siblings()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.started:
			scrapes.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "alive\n") })
	return mux
}
