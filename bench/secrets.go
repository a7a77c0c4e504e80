package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// secure makes the files that the servers need to speak TLS, and what the clients
// need to believe them.
func (f *fleet) secure(c config) error {
	cert, key := filepath.Join(f.dir, "cert.pem"), filepath.Join(f.dir, "key.pem")
	trust, err := makeCertificate(f.addr, cert, key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	f.trust = trust
	f.flags = append(f.flags, "--tls-cert="+cert, "--tls-key="+key)
	if !c.ticketKeys {
		return nil
	}
	keys := filepath.Join(f.dir, "ticket-keys")
	if err := makeTicketKeys(keys); err != nil {
		return fmt.Errorf("make ticket keys: %w", err)
	}
	f.flags = append(f.flags, "--tls-ticket-keys="+keys)
	return nil
}

// makeCertificate writes a certificate for addr and its key, and returns the
// configuration of clients that trust nothing else.
func makeCertificate(addr, certFile, keyFile string) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := sign(host, key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{RootCAs: pool, ServerName: host}, writePair(cert, key, certFile, keyFile)
}

func sign(host string, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "overlap bench"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func writePair(cert *x509.Certificate, key *ecdsa.PrivateKey, certFile, keyFile string) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", cert.Raw); err != nil {
		return err
	}
	return writePEM(keyFile, "PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// makeTicketKeys writes one key, in the form that the server reads.
func makeTicketKeys(file string) error {
	var key [32]byte
	rand.Read(key[:]) // cannot fail
	return os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key[:])+"\n"), 0o600)
}
