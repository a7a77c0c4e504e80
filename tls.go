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
	cfg.NextProtos = nextProtos(cfg.NextProtos, protocols(srv))
	srv.TLSConfig = cfg
	offerWhatIsServed(srv)
	return true
}

// offerWhatIsServed takes HTTP/2 off the list again where net/http has not set it up
// (GODEBUG=http2server=0, a build without it). BaseContext is called when it has
// decided that, and before it accepts.
func offerWhatIsServed(srv *http.Server) {
	next := srv.BaseContext
	srv.BaseContext = func(ln net.Listener) context.Context {
		if srv.TLSNextProto["h2"] == nil {
			srv.TLSConfig.NextProtos = slices.DeleteFunc(srv.TLSConfig.NextProtos, func(p string) bool { return p == "h2" })
		}
		return next(ln)
	}
}

func hasCertificate(cfg *tls.Config) bool {
	return cfg != nil && (len(cfg.Certificates) > 0 || cfg.GetCertificate != nil || cfg.GetConfigForClient != nil)
}

// protocols is what the server is to speak, as net/http decides it: by Protocols, and
// before there was that, HTTP/2 was switched off by a TLSNextProto that lacks it.
func protocols(srv *http.Server) (p http.Protocols) {
	if srv.Protocols != nil {
		return *srv.Protocols
	}
	p.SetHTTP1(true)
	p.SetHTTP2(srv.TLSNextProto == nil || srv.TLSNextProto["h2"] != nil)
	return p
}

// nextProtos makes the list that a client chooses from say what the server speaks. Other
// protocols of the user's stay in it.
func nextProtos(protos []string, p http.Protocols) []string {
	protos = slices.Clone(protos) // Clone of a tls.Config shares it
	for _, known := range []struct {
		name   string
		spoken bool
	}{{"h2", p.HTTP2()}, {"http/1.1", p.HTTP1()}} {
		switch listed := slices.Contains(protos, known.name); {
		case listed && !known.spoken:
			protos = slices.DeleteFunc(protos, func(name string) bool { return name == known.name })
		case !listed && known.spoken:
			protos = append(protos, known.name)
		}
	}
	return protos
}
