package overlap

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
)

// server is what an instance of the tests is.
func server(c config, test *told) *http.Server {
	srv := &http.Server{Addr: c.Addr, Handler: service(c.Release, test), ReadHeaderTimeout: c.ReadHeader}
	if c.H2C || c.NoHTTP2 {
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(!c.NoHTTP2)
		srv.Protocols.SetUnencryptedHTTP2(c.H2C)
	}
	if c.TLS {
		cert, _ := certificate()
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	srv.RegisterOnShutdown(func() { close(test.channel("shutdown")) })
	return srv
}

// certificate is one for 127.0.0.1, and what makes a client believe it.
func certificate() (tls.Certificate, *x509.CertPool) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv.TLS.Certificates[0], roots
}

// begun tells the test that the handler of a request has begun.
func begun(r *http.Request) { tell(event{Began: r.RequestURI}) }

// awaitBegun waits until the handler of a request has begun.
func (p *instance) awaitBegun(uri string) {
	p.t.Helper()
	p.await(func(e event) bool { return e.Began == uri })
}

// digest is what a sum of bytes looks like in an answer.
func digest(n int64, sum []byte) string { return fmt.Sprintf("%d %x", n, sum) }

func digestOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return digest(int64(len(body)), sum[:])
}

// transfers are handlers that take or give much, or slowly.
func transfers(mux *http.ServeMux, test *told) {
	// digest answers when it has the whole body; digest/held begins to read it when
	// the test says so. The trailer that a client sends comes back.
	answer := func(w http.ResponseWriter, r *http.Request) {
		if len(r.Trailer) > 0 {
			w.Header().Set("Trailer", "Sum")
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, digest(n, sum.Sum(nil)))
		if len(r.Trailer) > 0 {
			w.Header().Set("Sum", r.Trailer.Get("Sum"))
		}
	}
	mux.HandleFunc("/digest", func(w http.ResponseWriter, r *http.Request) {
		begun(r)
		answer(w, r)
	})
	mux.HandleFunc("/digest/held", func(w http.ResponseWriter, r *http.Request) {
		begun(r)
		<-test.channel("release")
		answer(w, r)
	})
	// refuse does not read the body.
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "too much", http.StatusRequestEntityTooLarge)
	})
	mux.HandleFunc("/refuse/held", func(w http.ResponseWriter, r *http.Request) {
		begun(r)
		<-test.channel("release")
		http.Error(w, "too much", http.StatusRequestEntityTooLarge)
	})
	// parts is a response in two of them, the second when the test says so.
	mux.HandleFunc("/parts", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		io.WriteString(w, "one,")
		w.(http.Flusher).Flush()
		begun(r)
		<-test.channel("release")
		io.WriteString(w, "two")
		w.Header().Set("Sum", digestOf("one,two"))
	})
	mux.HandleFunc("/held", func(w http.ResponseWriter, r *http.Request) {
		begun(r)
		<-test.channel("release")
		io.WriteString(w, r.RequestURI)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		begun(r)
		http.ServeFile(w, r, r.FormValue("name"))
	})
}

// longLived are handlers that end late, or never.
func longLived(mux *http.ServeMux, test *told) {
	// events ends by a function that was registered with RegisterOnShutdown.
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		begun(r)
		<-test.channel("shutdown")
		io.WriteString(w, "end of events")
	})
	// hijack greets, and says good-bye when the test says so.
	hijack := func(w http.ResponseWriter, until <-chan struct{}) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		defer c.Close()
		io.WriteString(c, "hello,")
		<-until
		io.WriteString(c, "bye")
	}
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) { hijack(w, test.channel("release")) })
	// deaf hears of nothing.
	mux.HandleFunc("/hijack/deaf", func(w http.ResponseWriter, r *http.Request) { hijack(w, nil) })
	mux.HandleFunc("/deaf", func(w http.ResponseWriter, r *http.Request) {
		begun(r)
		select {}
	})
}
