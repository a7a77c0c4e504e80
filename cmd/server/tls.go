package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// secrets are what TLS needs from files. Nil are the secrets of a service that is
// in clear only.
type secrets struct {
	config  *tls.Config    // to serve with
	srvs    []*http.Server // whose TLSConfig is config, and a clone of it once they serve
	shown   atomic.Pointer[tls.Certificate]
	sources []*source
	watcher *watcher
}

// source is files of which the running service uses what is in them. use says what that
// is now, or leaves in use what was; told is what the log heard of it last.
type source struct {
	name  string
	files []string
	use   func() (facts []any, err error)
	told  string
}

// loadSecrets returns what cfg names.
func loadSecrets(cfg config) (*secrets, error) {
	if !cfg.hasTLS() {
		return nil, nil
	}
	s := &secrets{}
	s.config = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.shown.Load(), nil },
	}
	certificate := func() ([]any, error) { return s.useCertificate(cfg.TLSCert, cfg.TLSKey) }
	if err := s.load("certificate", certificate, cfg.TLSCert, cfg.TLSKey); err != nil {
		return nil, cfg.wrong("tls-cert", "%w", err)
	}
	if cfg.TLSTicketKeys == "" {
		return s, nil
	}
	ticketKeys := func() ([]any, error) { return s.useTicketKeys(cfg.TLSTicketKeys) }
	if err := s.load("ticket keys", ticketKeys, cfg.TLSTicketKeys); err != nil {
		return nil, cfg.wrong("tls-ticket-keys", "%w", err)
	}
	return s, nil
}

func (s *secrets) load(name string, use func() ([]any, error), files ...string) error {
	s.sources = append(s.sources, &source{name: name, files: files, use: use})
	_, err := use()
	return err
}

// useCertificate shows the pair in these files from now on.
func (s *secrets) useCertificate(certFile, keyFile string) ([]any, error) {
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s and key %s: %w", certFile, keyFile, err)
	}
	s.shown.Store(&pair)
	return certificateFacts(pair.Leaf), nil
}

func readPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, _, err := readFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, _, err := readFile(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

func certificateFacts(leaf *x509.Certificate) []any {
	return []any{
		slog.String("subject", leaf.Subject.String()),
		slog.Any("names", leaf.DNSNames),
		slog.String("serial", leaf.SerialNumber.Text(16)),
		slog.Time("expires", leaf.NotAfter),
		slog.Bool("expired", time.Now().After(leaf.NotAfter)),
		slog.String("fingerprint", fingerprint(leaf.Raw)),
	}
}

// useTicketKeys makes the first key in the file encrypt and all of them decrypt.
func (s *secrets) useTicketKeys(file string) ([]any, error) {
	keys, err := readTicketKeys(file)
	if err != nil {
		return nil, err
	}
	s.config.SetSessionTicketKeys(keys)
	for _, srv := range s.srvs {
		srv.TLSConfig.SetSessionTicketKeys(keys)
	}
	prints := make([]string, len(keys))
	for i, key := range keys {
		prints[i] = fingerprint(key[:])
	}
	return []any{slog.Any("keys", prints)}, nil
}

// fingerprint names a secret without telling it.
func fingerprint(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:4])
}

// secure makes srv speak TLS.
func (s *secrets) secure(srv *http.Server) {
	srv.TLSConfig = s.config
	s.srvs = append(s.srvs, srv)
}

// watch reads the files again when they change. The servers must serve by now.
func (s *secrets) watch(log *slog.Logger) {
	if s == nil {
		return
	}
	var files []string
	for _, src := range s.sources {
		files = append(files, src.files...)
	}
	s.watcher = watch(files, func() { s.look(log) }, log)
}

// unwatch returns when nothing is being read any more, or does not get to an end.
func (s *secrets) unwatch() {
	if s != nil && s.watcher != nil {
		s.watcher.stop()
	}
}

// look uses what the files have now.
func (s *secrets) look(log *slog.Logger) {
	for _, src := range s.sources {
		src.look(log)
	}
}

// look says in the log what is new, and nothing where nothing is.
func (src *source) look(log *slog.Logger) {
	facts, err := src.use()
	told := fmt.Sprint(facts, err)
	if told == src.told {
		return
	}
	src.told = told
	if err != nil {
		log.Error(src.name, slog.String("kept", "what was in use before"), slog.Any("error", err))
		return
	}
	log.Info(src.name, facts...)
}
