package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/credentials"
)

// certificate returns the files of a certificate and its key, and the credentials of a
// client that trusts it.
func certificate(t testing.TB) (cert, key string, trust credentials.TransportCredentials) {
	t.Helper()
	srv := httptest.NewTLSServer(nil) // it has one for 127.0.0.1
	defer srv.Close()
	private, err := x509.MarshalPKCS8PrivateKey(srv.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: srv.Certificate().Raw},
		key:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(srv.Certificate())
	return cert, key, credentials.NewClientTLSFromCert(trusted, "127.0.0.1")
}
