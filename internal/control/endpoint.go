package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

const (
	// prefix begins the names of all endpoints.
	prefix = "overlap/" + version + "/"

	// patience is how long a caller may take to ask, and to read an answer.
	patience = 5 * time.Second
	// parting is how long Close waits for those who are being answered.
	parting = time.Second
	// mostAsked bounds what a caller can make us read.
	mostAsked = 4 << 10
)

// Endpoint is the endpoint of one instance.
type Endpoint struct {
	name string
	inst Instance
	feed feed
	srv  *http.Server
	done chan struct{}
}

// Open opens an endpoint for inst, under a name of its own. It answers until Close. What
// is not of the endpoint's language, private answers, if it is not nil.
func Open(inst Instance, private http.Handler) (*Endpoint, error) {
	name := rand.Text()
	ln, err := listen(name)
	if err != nil {
		return nil, fmt.Errorf("open a control endpoint: %w", err)
	}
	e := &Endpoint{name: name, inst: inst, done: make(chan struct{})}
	e.srv = &http.Server{
		Handler:        e.routes(private),
		ReadTimeout:    patience,
		WriteTimeout:   patience,
		IdleTimeout:    patience,
		MaxHeaderBytes: mostAsked,
		ErrorLog:       log.New(io.Discard, "", 0), // of callers that go away
	}
	go func() {
		defer close(e.done)
		e.srv.Serve(onlyFriends{ln})
	}()
	return e, nil
}

// Close drops the name. Who follows the instance gets what was told before; who does not
// read it is not waited for.
func (e *Endpoint) Close() error {
	e.feed.close()
	ctx, stop := context.WithTimeout(context.Background(), parting)
	defer stop()
	err := e.srv.Shutdown(ctx)
	if err != nil {
		err = e.srv.Close()
	}
	<-e.done
	return err
}

func (e *Endpoint) routes(private http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+version+"/status", func(w http.ResponseWriter, _ *http.Request) { e.tellStatus(w) })
	mux.HandleFunc("GET /"+version+"/events", e.tellEvents)
	for verb, do := range map[string]func() error{
		"retire":    func() error { e.inst.Retire(); return nil },
		"hand-over": func() error { e.inst.HandOver(); return nil },
		"take-back": func() error { e.inst.TakeBack(); return nil },
		"pin":       e.inst.Pin,
		"unpin":     e.inst.Unpin,
		"knock":     e.inst.Knock,
	} {
		mux.HandleFunc("POST /"+version+"/"+verb, func(w http.ResponseWriter, _ *http.Request) { e.obey(w, do) })
	}
	if private != nil {
		mux.Handle("/", private)
	}
	return mux
}

// obey does what a caller has asked for, or says why not. That may take longer than an
// answer may.
func (e *Endpoint) obey(w http.ResponseWriter, do func() error) {
	err := do()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	e.tellStatus(w)
}

func (e *Endpoint) status() Status {
	s := e.inst.Status()
	s.Instance = e.name
	return s
}

func (e *Endpoint) tellStatus(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(e.status())
}

// onlyFriends accepts connections of ourselves and of root. All others are closed without
// a word.
type onlyFriends struct{ net.Listener }

func (ln onlyFriends) Accept() (net.Conn, error) {
	for {
		c, err := ln.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if who, err := peerOf(c); err == nil && who.isFriend() {
			return c, nil
		}
		c.Close()
	}
}

// peer is a process at the other end of a connection.
type peer struct{ pid, uid int }

var errForeign = errors.New("the endpoint belongs to another user")

// dial connects to the endpoint with this name, and looks whose it is.
func dial(ctx context.Context, name string) (net.Conn, peer, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", "@"+prefix+name)
	if err != nil {
		return nil, peer{}, err
	}
	who, err := peerOf(c)
	if err == nil && !who.isTrusted() {
		err = errForeign
	}
	if err != nil {
		c.Close()
		return nil, peer{}, err
	}
	return c, who, nil
}
