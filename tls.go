package overlap

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
)

// secure says whether srv speaks TLS, which it does when its TLSConfig has a
// certificate to show. It then gives srv a configuration of its own: a clone, so that
// what the user shares between servers stays his, and made before the listener, so
// that srv.TLSConfig is what is in use. (ServeTLS makes a clone that nobody can reach:
// SetSessionTicketKeys comes too late for it.)
func secure(srv *http.Server) bool {
	if !hasCertificate(srv.TLSConfig) {
		return false
	}
	cfg := srv.TLSConfig.Clone()
	cfg.NextProtos = slices.Clone(cfg.NextProtos) // which Clone shares
	for _, proto := range []string{"h2", "http/1.1"} {
		if !slices.Contains(cfg.NextProtos, proto) {
			cfg.NextProtos = append(cfg.NextProtos, proto)
		}
	}
	srv.TLSConfig = cfg
	withdraw(srv)
	return true
}

func hasCertificate(cfg *tls.Config) bool {
	return cfg != nil && (len(cfg.Certificates) > 0 || cfg.GetCertificate != nil || cfg.GetConfigForClient != nil)
}

// withdraw takes off the list again what net/http does not speak, in whatever way that
// was switched off: by Protocols, by TLSNextProto, by GODEBUG=http2server=0, in a build
// without it. BaseContext is called when it has decided that, and before it accepts.
func withdraw(srv *http.Server) {
	next := srv.BaseContext
	srv.BaseContext = func(ln net.Listener) context.Context {
		off := func(proto string) bool {
			return proto == "h2" && (srv.TLSNextProto["h2"] == nil || srv.Protocols != nil && !srv.Protocols.HTTP2()) ||
				proto == "http/1.1" && srv.Protocols != nil && !srv.Protocols.HTTP1()
		}
		srv.TLSConfig.NextProtos = slices.DeleteFunc(srv.TLSConfig.NextProtos, off)
		return next(ln)
	}
}
