//go:build !go1.27

// Broken on purpose, and seen red: watchTLS says nothing.

package drain

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// ownIsBare: HTTP/2 is not watched beside protocols of the user's own.
const ownIsBare = false

// An HTTP/2 implementation of a user's that takes nothing but a *tls.Conn.
func TestHTTP2ThatCannotBeWatchedIsSaidAtStart(t *testing.T) {
	srv := &http.Server{TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(*http.Server, *tls.Conn, http.Handler) {},
	}}
	cs := New()
	cs.Attach(srv)
	equal(t, "in one step, before it serves", cs.OneStep(), false)
	srv.BaseContext(nil)
	equal(t, "in one step", cs.OneStep(), true)
}
